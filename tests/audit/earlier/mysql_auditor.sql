grant select on entry to {account}
