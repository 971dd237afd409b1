grant select on ledger to {account}
-- next
grant execute on procedure find_entry to {account}
-- next
grant execute on procedure find_key to {account}
-- next
grant execute on procedure open_candidates to {account}
