grant execute on function dbdeck_audit.redact(uuid, bigint) to {role};
