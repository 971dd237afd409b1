select *
from entry
where (%s is null or action_id = %s)
  and (%s is null or find_in_set(kind, %s))
  and (%s is null or instr(body, %s))
  and (%s is null or parent = %s)
order by id {order}
limit %s
