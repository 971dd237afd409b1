-- The ledger on PostgreSQL 13 and later. Run again, it repairs: functions, triggers and rights.
create schema if not exists dbdeck_audit;

create table if not exists dbdeck_audit.ledger (
    id      uuid    not null primary key,
    version integer not null
);
insert into dbdeck_audit.ledger
select gen_random_uuid(), 1 where not exists (select from dbdeck_audit.ledger);

create table if not exists dbdeck_audit.entry (
    id              bigint generated always as identity primary key,
    at              timestamptz not null,   -- this server's clock, never the client's
    writer          uuid        not null,   -- one a process
    seq             bigint      not null check (seq > 0),
    kind            text        not null,
    action_id       uuid        not null,
    parent          uuid,
    idempotency_key text constraint entry_one_key unique
                    check (idempotency_key is null or kind = 'intent'),
    body            text,                   -- the exact text that was hashed, so never jsonb
    body_hash       bytea       not null,
    prev            bytea       not null,
    link            bytea       not null,
    witness         bytea       not null,
    db_user         text        not null,
    peer            text        not null,
    seal            bytea       not null,
    constraint entry_writer_seq unique (writer, seq),
    constraint entry_writer_prev unique (writer, prev)
);
create unique index if not exists entry_one_intent
    on dbdeck_audit.entry (action_id) where kind = 'intent';
create unique index if not exists entry_one_outcome
    on dbdeck_audit.entry (action_id) where kind = 'outcome';
create index if not exists entry_action on dbdeck_audit.entry (action_id, kind);

create or replace function dbdeck_audit.field(value text) returns text
language sql immutable set search_path = pg_catalog, pg_temp
as $$ select octet_length(convert_to(coalesce(value, ''), 'UTF8')) || ':' || coalesce(value, '') || ',' $$;

create or replace function dbdeck_audit.digest(label text, variadic fields text[]) returns bytea
language sql immutable set search_path = pg_catalog, pg_temp
as $$
    select sha256(convert_to(label || string_agg(dbdeck_audit.field(value), '' order by place), 'UTF8'))
    from unnest(fields) with ordinality as f (value, place)
$$;

create or replace function dbdeck_audit.lock_key(writer uuid) returns bigint
language sql immutable set search_path = pg_catalog, pg_temp
as $$ select ('x' || left(encode(sha256(convert_to('dbdeck/writer;' || writer, 'UTF8')), 'hex'), 16))::bit(64)::bigint $$;

-- Appending the same row again returns the row that is there: a lost answer is settled by asking again.
create or replace function dbdeck_audit.append(
    _writer uuid, _seq bigint, _kind text, _action uuid, _parent uuid, _key text, _body text, _prev bytea,
    _link bytea
) returns dbdeck_audit.entry
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    made   dbdeck_audit.entry;
    stored dbdeck_audit.entry;
    before dbdeck_audit.entry;
begin
    select * into made from dbdeck_audit.entry e where e.writer = _writer and e.seq = _seq;
    if found then
        if made.link <> _link then
            raise exception 'row % of this writer is another one', _seq using errcode = 'AU002';
        end if;
        return made;
    end if;
    -- Only set_config holds until the commit; a SET clause of the function ends before it.
    -- off and local do not wait for the disk and the standby; anything stronger stays.
    if current_setting('synchronous_commit') in ('off', 'local') then
        perform set_config('synchronous_commit', 'on', true);
    end if;
    perform set_config('lock_timeout', '2s', true);
    if _seq > 1 then
        select * into before from dbdeck_audit.entry e where e.writer = _writer and e.seq = _seq - 1;
    end if;
    if _prev is distinct from (case when _seq = 1 then ''::bytea else before.link end) then
        raise exception 'row % of this writer is missing or another one', _seq - 1 using errcode = 'AU001';
    end if;
    made.writer := _writer;
    made.seq := _seq;
    made.kind := _kind;
    made.action_id := _action;
    made.parent := _parent;
    made.idempotency_key := _key;
    made.body := _body;
    made.body_hash := sha256(convert_to(_body, 'UTF8'));
    made.prev := _prev;
    made.link := dbdeck_audit.digest(
        'dbdeck/link/1;', encode(_prev, 'hex'), _writer::text, _seq::text, _kind, _action::text,
        _parent::text, _key, encode(made.body_hash, 'hex'));
    if made.link <> _link then
        raise exception 'the link of row % does not fit its content', _seq using errcode = 'AU002';
    end if;
    made.witness := coalesce((select e.seal from dbdeck_audit.entry e order by e.id desc limit 1), '');
    made.at := clock_timestamp();
    made.db_user := session_user;
    made.peer := coalesce(host(inet_client_addr()), 'local');
    made.seal := dbdeck_audit.digest(
        'dbdeck/seal/1;', encode(made.link, 'hex'), encode(made.witness, 'hex'),
        (extract(epoch from made.at) * 1000000)::bigint::text, made.db_user, made.peer);
    insert into dbdeck_audit.entry (at, writer, seq, kind, action_id, parent, idempotency_key, body,
        body_hash, prev, link, witness, db_user, peer, seal)
    values (made.at, made.writer, made.seq, made.kind, made.action_id, made.parent,
        made.idempotency_key, made.body, made.body_hash, made.prev, made.link, made.witness,
        made.db_user, made.peer, made.seal)
    returning id into made.id;
    -- A trigger or a rule may have dropped or changed the row without an error.
    select * into stored from dbdeck_audit.entry e where e.id = made.id;
    if not found then
        raise exception 'the row was swallowed' using errcode = 'AU003';
    end if;
    if stored is distinct from made then
        raise exception 'the row was altered on its way' using errcode = 'AU003';
    end if;
    return made;
end
$$;

create or replace function dbdeck_audit.find(_writer uuid, _seq bigint)
returns setof dbdeck_audit.entry
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$ select * from dbdeck_audit.entry e where e.writer = _writer and e.seq = _seq $$;

create or replace function dbdeck_audit.find_key(_key text) returns uuid
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$ select e.action_id from dbdeck_audit.entry e where e.idempotency_key = _key $$;

-- Intents whose end is not known; the caller reads the status of the outcome itself.
create or replace function dbdeck_audit.candidates()
returns table (intent dbdeck_audit.entry, outcome text, alive boolean)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select i, o.body, exists (
        select from pg_locks l
        where l.locktype = 'advisory' and l.granted and l.objsubid = 1
          and l.database = (select d.oid from pg_database d where d.datname = current_database())
          and (l.classid::bigint << 32 | l.objid::bigint) = dbdeck_audit.lock_key(i.writer))
    from dbdeck_audit.entry i
    left join dbdeck_audit.entry o on o.action_id = i.action_id and o.kind = 'outcome'
    where i.kind = 'intent'
      and (o.id is null or o.body like '%"unknown"%')
      and not exists (
        select from dbdeck_audit.entry r where r.action_id = i.action_id and r.kind = 'resolved')
    order by i.id
$$;

create or replace function dbdeck_audit.deny() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp
as $$ begin raise exception 'the ledger is append-only (%)', tg_op using errcode = 'AU009'; end $$;

drop trigger if exists no_change on dbdeck_audit.entry;
drop trigger if exists no_truncate on dbdeck_audit.entry;
drop trigger if exists no_change on dbdeck_audit.ledger;
drop trigger if exists no_truncate on dbdeck_audit.ledger;
create trigger no_change before update or delete on dbdeck_audit.entry
    for each row execute function dbdeck_audit.deny();
create trigger no_truncate before truncate on dbdeck_audit.entry
    for each statement execute function dbdeck_audit.deny();
create trigger no_change before update or delete on dbdeck_audit.ledger
    for each row execute function dbdeck_audit.deny();
create trigger no_truncate before truncate on dbdeck_audit.ledger
    for each statement execute function dbdeck_audit.deny();
-- ALWAYS: session_replication_role = replica silences the other triggers.
alter table dbdeck_audit.entry enable always trigger no_change;
alter table dbdeck_audit.entry enable always trigger no_truncate;
alter table dbdeck_audit.ledger enable always trigger no_change;
alter table dbdeck_audit.ledger enable always trigger no_truncate;

revoke all on all functions in schema dbdeck_audit from public;
