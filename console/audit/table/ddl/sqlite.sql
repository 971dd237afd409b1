-- The ledger in one SQLite file. The writer computes every value; `dbdeck audit verify` proves them.
create table if not exists ledger (
    id      text    not null primary key,
    version integer not null
);
insert into ledger select lower(hex(randomblob(16))), 1 where not exists (select 1 from ledger);
create table if not exists entry (
    id              integer primary key autoincrement,
    at              text    not null,        -- ISO-8601 UTC, µs
    writer          text    not null,
    seq             integer not null check (seq > 0),
    kind            text    not null,
    action_id       text    not null,
    parent          text,
    idempotency_key text    unique check (idempotency_key is null or kind = 'intent'),
    body            text,                    -- null only after a recorded redaction
    body_hash       blob    not null,
    prev            blob    not null,
    link            blob    not null,
    witness         blob    not null,
    db_user         text    not null,
    peer            text    not null,
    seal            blob    not null,
    unique (writer, seq),
    unique (writer, prev)
);
create unique index if not exists entry_one_intent on entry (action_id) where kind = 'intent';
create unique index if not exists entry_one_outcome on entry (action_id) where kind = 'outcome';
create index if not exists entry_action on entry (action_id, kind);
-- The body alone may go, and only where a redaction of the row is recorded and the end of its action is known.
create trigger if not exists entry_no_update before update on entry
when not (
    new.body is null and old.body is not null
    and new.id = old.id and new.at = old.at and new.writer = old.writer and new.seq = old.seq
    and new.kind = old.kind and new.action_id = old.action_id and new.parent is old.parent
    and new.idempotency_key is old.idempotency_key and new.body_hash = old.body_hash
    and new.prev = old.prev and new.link = old.link and new.witness = old.witness
    and new.db_user = old.db_user and new.peer = old.peer and new.seal = old.seal
    and exists (
        select 1 from entry r
        where r.action_id = old.action_id and r.kind = 'redaction'
          and json_extract(r.body, '$.writer') = old.writer and json_extract(r.body, '$.seq') = old.seq)
    -- By its texts an action without a known end is found, and freezes what it is at: they stay.
    and (not exists (select 1 from entry i where i.action_id = old.action_id and i.kind = 'intent')
        or exists (select 1 from entry r where r.action_id = old.action_id and r.kind = 'resolved')
        or exists (
            select 1 from entry o
            where o.action_id = old.action_id and o.kind = 'outcome'
              and case when o.body like '%"status":"unknown"%'
                       then json_extract(o.body, '$.status') <> 'unknown' else 1 end))
) begin
    select raise(abort, 'the ledger is append-only (UPDATE)');
end;
create trigger if not exists entry_no_delete before delete on entry begin
    select raise(abort, 'the ledger is append-only (DELETE)');
end;
create trigger if not exists ledger_no_update before update on ledger begin
    select raise(abort, 'the ledger is append-only (UPDATE)');
end;
create trigger if not exists ledger_no_delete before delete on ledger begin
    select raise(abort, 'the ledger is append-only (DELETE)');
end;
-- REPLACE deletes without the trigger above.
create trigger if not exists entry_no_replace before insert on entry
when exists (
    select 1 from entry e
    where e.id = new.id
       or (e.writer = new.writer and (e.seq = new.seq or e.prev = new.prev))
       or e.idempotency_key = new.idempotency_key
       or (e.action_id = new.action_id and e.kind = new.kind and e.kind in ('intent', 'outcome'))
) begin
    select raise(abort, 'the ledger is append-only (REPLACE)');
end;
