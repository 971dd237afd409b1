select *
from entry
where {where}
order by id {order}
limit :limit
