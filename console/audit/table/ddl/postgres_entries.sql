select *
from dbdeck_audit.entry
where ($1::uuid is null or action_id = $1)
  and ($2::text[] is null or kind = any ($2))
order by id {order}
limit $3
