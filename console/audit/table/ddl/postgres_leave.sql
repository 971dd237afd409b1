do $$ begin
    if exists (select from pg_roles where rolname = 'dbdeck_audit_owner')
       and not (select rolsuper from pg_roles where rolname = current_user) then
        revoke dbdeck_audit_owner from current_user;
    end if;
end $$
