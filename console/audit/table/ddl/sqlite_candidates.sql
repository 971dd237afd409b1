-- Intents whose end is not known; the caller reads the status of the outcome itself.
select i.*, o.body as outcome, o.id as outcome_id
from entry i
left join entry o on o.action_id = i.action_id and o.kind = 'outcome'
where i.kind = 'intent'
  and (o.id is null or o.body like '%"unknown"%')
  and not exists (select 1 from entry r where r.action_id = i.action_id and r.kind = 'resolved')
order by i.id
