select {columns}
from dbdeck_audit.entry
where ($1::uuid is null or action_id = $1)
  and ($2::text[] is null or kind = any ($2))
  and ($4::text is null or strpos(body, $4) > 0)
  and ($5::uuid is null or parent = $5)
order by id {order}
limit $3
