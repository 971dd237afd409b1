grant execute on function
    dbdeck_audit.append(uuid, bigint, text, uuid, uuid, text, text, bytea, bytea) to {role};
