select *
from entry
where (:action_id is null or action_id = :action_id)
  and (:kinds is null or instr(:kinds, ',' || kind || ','))
  and (:containing is null or instr(body, :containing))
  and (:parent is null or parent = :parent)
order by id {order}
limit :limit
