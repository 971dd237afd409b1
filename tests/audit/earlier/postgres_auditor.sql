grant select on dbdeck_audit.entry to {role};
