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

drop function if exists dbdeck_audit.field(text);
drop function if exists dbdeck_audit.find(uuid, bigint);
drop function if exists dbdeck_audit.digest(text, text[]);

create or replace function dbdeck_audit.lock_key(writer uuid) returns bigint
language sql immutable set search_path = pg_catalog, pg_temp
as $$ select ('x' || left(encode(sha256(convert_to('dbdeck/writer;' || writer, 'UTF8')), 'hex'), 16))::bit(64)::bigint $$;

-- Whether an intent's approvals are those of others: each of another login than this session's and than the
-- other approvals', of the same plan, and not older than the intent allows by this server's clock. One of a time
-- to come would be young until then: the clock was set back. A minute is what a clock is moved without one.
create or replace function dbdeck_audit.is_approved(_body text) returns boolean
language sql stable set search_path = pg_catalog, pg_temp
as $$
    select count(*) = count(distinct e.db_user)
    from jsonb_array_elements_text(_body::jsonb -> 'approvals') as wanted (link)
    left join dbdeck_audit.entry e
        on e.action_id = left(_body::jsonb ->> 'plan_hash', 32)::uuid and e.kind = 'approval'
        and e.link = decode(wanted.link, 'hex') and e.db_user <> session_user
        and e.body::jsonb ->> 'plan_hash' = _body::jsonb ->> 'plan_hash'
        and e.at > clock_timestamp() - make_interval(secs => (_body::jsonb ->> 'approvals_within')::float8)
        and e.at < clock_timestamp() + interval '1 minute'
$$;

-- Whether a review of a break-glass is that of another: of a login that neither wrote nor merged a row of its
-- writer, and is not the one that its beginning names.
create or replace function dbdeck_audit.is_of_another(_body text) returns boolean
language sql stable set search_path = pg_catalog, pg_temp
as $$
    select count(*) filter (where e.kind = 'breakglass' and e.body::jsonb ->> 'event' = 'begin') > 0
       and count(*) filter (where e.db_user = session_user) = 0
       and count(*) filter (where e.kind = 'breakglass' and e.body::jsonb ->> 'login' = session_user) = 0
    from dbdeck_audit.entry e where e.writer = (_body::jsonb ->> 'writer')::uuid
$$;

create or replace function dbdeck_audit.approvals(_action uuid) returns setof dbdeck_audit.entry
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$ select e.* from dbdeck_audit.entry e where e.action_id = _action and e.kind = 'approval' order by e.id $$;

-- Appending the same row again returns the row that is there: a lost answer is settled by asking again. Expressions
-- are few and large, because each is set up anew in every transaction: hashes by a function that loops over their
-- fields took longer.
create or replace function dbdeck_audit.append(
    _writer uuid, _seq bigint, _kind text, _action uuid, _parent uuid, _key text, _body text, _prev bytea,
    _link bytea
) returns dbdeck_audit.entry
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    stored    dbdeck_audit.entry;
    last      bigint;
    last_link bytea;
    seen      bytea;
    setting   text;
    hash      bytea;
    moment    timestamptz;
    ticks     text;
    address   text;
    sealed    bytea;
    made      bigint;
begin
    -- The writer's newest row up to this one, in one look whose order only the index on (writer, seq) has: asked
    -- for by both columns, a planner without statistics took another one and read all rows of the writer.
    select e.seq, e.link, (select w.seal from dbdeck_audit.entry w order by w.id desc limit 1)
    into last, last_link, seen
    from dbdeck_audit.entry e where e.writer = _writer and e.seq <= _seq order by e.seq desc limit 1;
    if last = _seq then
        if last_link <> _link then
            raise exception 'row % of this writer is another one', _seq using errcode = 'AU002';
        end if;
        select * into stored from dbdeck_audit.entry e
        where e.writer = _writer and e.seq <= _seq order by e.seq desc limit 1;
        return stored;
    end if;
    if _prev is distinct from (case when _seq = 1 then ''::bytea when last = _seq - 1 then last_link end) then
        raise exception 'row % of this writer is missing or another one', _seq - 1 using errcode = 'AU001';
    end if;
    -- Only set_config holds until the commit; a SET clause of the function ends before it.
    -- off and local do not wait for the disk and the standby; anything stronger stays.
    setting := set_config('lock_timeout', '2s', true) || case
        when current_setting('synchronous_commit') in ('off', 'local')
        then set_config('synchronous_commit', 'on', true) end;
    if _kind = 'intent' and _body like '%"approvals":[%' then
        if dbdeck_audit.is_approved(_body) is not true then
            raise exception 'an approval of this plan is that of its requester, of another plan, too old, or of a time to come'
                using errcode = 'AU004';
        end if;
    elsif _kind = 'breakglass' and _body like '%"event":"review"%' then
        if (_body::jsonb ->> 'writer' = _action::text and dbdeck_audit.is_of_another(_body)) is not true then
            raise exception 'a review of this break-glass is that of who broke or merged it, or it is not here'
                using errcode = 'AU004';
        end if;
    end if;
    hash := sha256(convert_to(_body, 'UTF8'));
    if _link is distinct from sha256(convert_to(concat('dbdeck/link/1;',
        2 * octet_length(_prev), ':', encode(_prev, 'hex'), ',',
        '36:', _writer, ',',
        length(_seq::text), ':', _seq, ',',
        octet_length(convert_to(_kind, 'UTF8')), ':', _kind, ',',
        '36:', _action, ',',
        case when _parent is null then 0 else 36 end, ':', _parent, ',',
        coalesce(octet_length(convert_to(_key, 'UTF8')), 0), ':', _key, ',',
        '64:', encode(hash, 'hex'), ','), 'UTF8'))
    then
        raise exception 'the link of row % does not fit its content', _seq using errcode = 'AU002';
    end if;
    if seen is null then  -- it is the first row of its writer
        seen := coalesce((select e.seal from dbdeck_audit.entry e order by e.id desc limit 1), '');
    end if;
    moment := clock_timestamp();
    ticks := (extract(epoch from moment) * 1000000)::bigint::text;
    address := coalesce(host(inet_client_addr()), 'local');
    sealed := sha256(convert_to(concat('dbdeck/seal/1;',
        '64:', encode(_link, 'hex'), ',',
        2 * octet_length(seen), ':', encode(seen, 'hex'), ',',
        length(ticks), ':', ticks, ',',
        octet_length(convert_to(session_user, 'UTF8')), ':', session_user, ',',
        length(address), ':', address, ','), 'UTF8'));
    insert into dbdeck_audit.entry (at, writer, seq, kind, action_id, parent, idempotency_key, body,
        body_hash, prev, link, witness, db_user, peer, seal)
    values (moment, _writer, _seq, _kind, _action, _parent, _key, _body,
        hash, _prev, _link, seen, session_user, address, sealed)
    returning id into made;
    -- A trigger or a rule may have dropped or changed the row without an error.
    select * into stored from dbdeck_audit.entry e where e.id = made;
    if not found then
        raise exception 'the row was swallowed' using errcode = 'AU003';
    end if;
    if stored is distinct from row(made, moment, _writer, _seq, _kind, _action, _parent, _key, _body,
        hash, _prev, _link, seen, session_user, address, sealed)::dbdeck_audit.entry
    then
        raise exception 'the row was altered on its way' using errcode = 'AU003';
    end if;
    return stored;
end
$$;

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

-- Takes the text of a row away, once a row says so; its hash stays. The number of rows.
create or replace function dbdeck_audit.redact(_writer uuid, _seq bigint) returns bigint
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    with gone as (
        update dbdeck_audit.entry e set body = null
        where e.writer = _writer and e.seq = _seq and e.body is not null
        returning 1)
    select count(*) from gone
$$;

create or replace function dbdeck_audit.deny() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
    kept record;
begin
    if tg_op = 'UPDATE' and tg_table_name = 'entry' then
        kept := old;
        kept.body := null;
        -- The body alone, and only where a redaction of this row is recorded.
        if new is not distinct from kept and exists (
            select from dbdeck_audit.entry r
            where r.action_id = old.action_id and r.kind = 'redaction'
              and r.body::jsonb ->> 'writer' = old.writer::text and r.body::jsonb ->> 'seq' = old.seq::text)
        then
            -- By its texts an action without a known end is found, and freezes what it is at.
            if exists (
                    select from dbdeck_audit.entry i where i.action_id = old.action_id and i.kind = 'intent')
                and not exists (
                    select from dbdeck_audit.entry r where r.action_id = old.action_id and r.kind = 'resolved')
                and not exists (
                    select from dbdeck_audit.entry o
                    where o.action_id = old.action_id and o.kind = 'outcome'
                      and case when o.body like '%"status":"unknown"%'
                               then o.body::json ->> 'status' <> 'unknown' else true end)
            then
                raise exception 'the end of this action is not known: its texts stay until it is settled'
                    using errcode = 'AU009';
            end if;
            return new;
        end if;
    end if;
    raise exception 'the ledger is append-only (%)', tg_op using errcode = 'AU009';
end
$$;

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
