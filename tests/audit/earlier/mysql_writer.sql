grant execute on procedure append_entry to {account}
