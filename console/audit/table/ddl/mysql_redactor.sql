grant execute on procedure redact_entry to {account}
