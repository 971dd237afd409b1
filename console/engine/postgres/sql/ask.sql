-- Purpose: the first value of the first row of a user's own question, as text; what is in braces is put in by
--   snapshot.py
-- Privilege: what the question needs
-- Cost: the question's
select (q.first_value)::text as answer
  from (
{question}
       ) q(first_value)
 limit 1
