-- Nobody logs in as the owner, whose rights the append function has.
do $$ begin
    if not exists (select from pg_roles where rolname = 'dbdeck_audit_owner') then
        create role dbdeck_audit_owner nologin;
    end if;
    if not (select rolsuper from pg_roles where rolname = current_user) then
        grant dbdeck_audit_owner to current_user;
    end if;
end $$;
alter schema dbdeck_audit owner to dbdeck_audit_owner;
alter table dbdeck_audit.ledger owner to dbdeck_audit_owner;
alter table dbdeck_audit.entry owner to dbdeck_audit_owner;
alter function dbdeck_audit.lock_key(uuid) owner to dbdeck_audit_owner;
alter function dbdeck_audit.append(uuid, bigint, text, uuid, uuid, text, text, bytea, bytea)
    owner to dbdeck_audit_owner;
alter function dbdeck_audit.find_key(text) owner to dbdeck_audit_owner;
alter function dbdeck_audit.candidates() owner to dbdeck_audit_owner;
alter function dbdeck_audit.is_approved(text) owner to dbdeck_audit_owner;
alter function dbdeck_audit.is_of_another(text) owner to dbdeck_audit_owner;
alter function dbdeck_audit.approvals(uuid) owner to dbdeck_audit_owner;
alter function dbdeck_audit.redact(uuid, bigint) owner to dbdeck_audit_owner;
alter function dbdeck_audit.deny() owner to dbdeck_audit_owner;
