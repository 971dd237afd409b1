-- Who is no superuser mends what is the owner's as its member, for as long as the transaction lasts.
do $$ begin
    if exists (select from pg_roles where rolname = 'dbdeck_audit_owner')
       and not (select rolsuper from pg_roles where rolname = current_user) then
        grant dbdeck_audit_owner to current_user;
    end if;
end $$
