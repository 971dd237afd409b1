grant usage on schema dbdeck_audit to {role};
grant select on dbdeck_audit.ledger to {role};
grant execute on function dbdeck_audit.lock_key(uuid), dbdeck_audit.find(uuid, bigint),
    dbdeck_audit.find_key(text), dbdeck_audit.candidates() to {role};
