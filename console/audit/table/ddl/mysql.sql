-- The ledger on MySQL 8.0 and MariaDB 10.6 and later, in a database of its own; run by who may make
-- accounts, routines and triggers. Statements are separated by lines of "next".
create table if not exists ledger (
    one     tinyint  not null primary key default 1 check (one = 1),
    id      char(36) character set ascii collate ascii_bin not null,
    version int      not null
) engine = InnoDB
-- next
insert ignore into ledger (one, id, version) values (1, uuid(), 1)
-- next
create table if not exists entry (
    id              bigint unsigned not null auto_increment primary key,
    at              datetime(6)     not null comment 'UTC, the clock of this server',
    writer          varchar(36)     character set ascii collate ascii_bin not null,
    seq             bigint unsigned not null check (seq > 0),
    kind            varchar(16)     character set ascii collate ascii_bin not null,
    action_id       varchar(36)     character set ascii collate ascii_bin not null,
    parent          varchar(36)     character set ascii collate ascii_bin,
    idempotency_key varbinary(800),
    body            longtext        character set utf8mb4 collate utf8mb4_bin
                                    comment 'the exact text that was hashed',
    body_hash       binary(32)      not null,
    prev            varbinary(32)   not null,
    link            binary(32)      not null,
    witness         varbinary(32)   not null,
    db_user         varchar(400)    character set utf8mb4 collate utf8mb4_bin not null,
    peer            varchar(400)    character set utf8mb4 collate utf8mb4_bin not null,
    seal            binary(32)      not null,
    intent_of       varchar(36)     character set ascii collate ascii_bin
                                    as (case when kind = 'intent' then action_id end) stored,
    outcome_of      varchar(36)     character set ascii collate ascii_bin
                                    as (case when kind = 'outcome' then action_id end) stored,
    unique key entry_writer_seq (writer, seq),
    unique key entry_writer_prev (writer, prev),
    unique key entry_one_key (idempotency_key),
    unique key entry_one_intent (intent_of),
    unique key entry_one_outcome (outcome_of),
    key entry_action (action_id, kind),
    constraint entry_key_of_intent check (idempotency_key is null or kind = 'intent')
) engine = InnoDB
-- next
create trigger entry_no_update before update on entry for each row
begin
    -- The body alone, and only where a redaction of this row is recorded.
    if not (new.body is null and old.body is not null
        and new.id = old.id and new.at = old.at and new.writer = old.writer and new.seq = old.seq
        and new.kind = old.kind and new.action_id = old.action_id and new.parent <=> old.parent
        and new.idempotency_key <=> old.idempotency_key and new.body_hash = old.body_hash
        and new.prev = old.prev and new.link = old.link and new.witness = old.witness
        and new.db_user = old.db_user and new.peer = old.peer and new.seal = old.seal
        and exists (
            select 1 from entry r
            where r.action_id = old.action_id and r.kind = 'redaction'
              and json_unquote(json_extract(r.body, '$.writer')) = old.writer
              and json_extract(r.body, '$.seq') = old.seq))
    then
        signal sqlstate '45000' set message_text = 'the ledger is append-only (UPDATE)';
    end if;
    -- By its texts an action without a known end is found, and freezes what it is at.
    if exists (select 1 from entry i where i.action_id = old.action_id and i.kind = 'intent')
        and not exists (select 1 from entry r where r.action_id = old.action_id and r.kind = 'resolved')
        and not exists (
            select 1 from entry o
            where o.action_id = old.action_id and o.kind = 'outcome'
              and case when o.body like '%"status":"unknown"%'
                       then coalesce(json_unquote(json_extract(o.body, '$.status')), 'unknown') <> 'unknown'
                       else true end)
    then
        signal sqlstate '45000'
            set message_text = 'the end of this action is not known: its texts stay until it is settled';
    end if;
end
-- next
create trigger entry_no_delete before delete on entry for each row
signal sqlstate '45000' set message_text = 'the ledger is append-only (DELETE)'
-- next
create trigger ledger_no_update before update on ledger for each row
signal sqlstate '45000' set message_text = 'the ledger is append-only (UPDATE)'
-- next
create trigger ledger_no_delete before delete on ledger for each row
signal sqlstate '45000' set message_text = 'the ledger is append-only (DELETE)'
-- next
grant select, insert, update (body) on entry to dbdeck_audit_owner@localhost
-- next
create definer = dbdeck_audit_owner@localhost procedure append_entry(
    in _writer char(36) character set ascii, in _seq bigint unsigned,
    in _kind varchar(16) character set ascii, in _action char(36) character set ascii,
    in _parent char(36) character set ascii, in _key varbinary(800), in _body longblob,
    in _prev varbinary(32), in _link varbinary(32)
)
sql security definer
modifies sql data
begin
    declare there, before_link, hash, linked, sealed varbinary(32) default null;
    declare seen varbinary(32) default x'';
    declare said longtext character set utf8mb4;
    declare moment datetime(6);
    declare login, address varchar(400) character set utf8mb4;
    declare kept, wanted int default 0;
    declare plan varchar(64) character set ascii collate ascii_bin;
    declare made bigint unsigned;
    declare exit handler for sqlexception begin rollback; resignal; end;
    -- Ends whatever transaction the caller may have begun: no ROLLBACK of theirs reaches this row.
    start transaction;
    select e.link into there from entry e where e.writer = _writer and e.seq = _seq;
    if there is not null then
        if there <> _link then
            signal sqlstate '45000' set message_text = 'this row of this writer is another one';
        end if;
    else
        if _seq = 1 then
            set before_link = x'';
        else
            select e.link into before_link from entry e where e.writer = _writer and e.seq = _seq - 1;
        end if;
        if before_link is null or before_link <> _prev then
            signal sqlstate '45000'
                set message_text = 'the row before this one is missing or another one';
        end if;
        -- SYSDATE is the one clock that SET timestamp does not move; the zone could.
        set time_zone = '+00:00';
        -- Approvals are those of others: each of another account than this session's and than the other
        -- approvals', of the same plan, and not older than the intent allows by this server's clock. One of a
        -- time to come would be young until then: the clock was set back. A minute is how far one is moved.
        if _kind = 'intent' and _body like '%"approvals":[%' then
            set said = convert(_body using utf8mb4);
            set wanted = json_length(said, '$.approvals');
            set plan = json_unquote(json_extract(said, '$.plan_hash'));
            select count(distinct substring(e.db_user, 1, char_length(e.db_user)
                    - char_length(substring_index(e.db_user, '@', -1)) - 1)) into kept
            from entry e
            where e.kind = 'approval'
              and e.action_id = concat_ws('-', left(plan, 8), substring(plan, 9, 4), substring(plan, 13, 4),
                    substring(plan, 17, 4), substring(plan, 21, 12))
              and json_contains(json_extract(said, '$.approvals'), json_quote(lower(hex(e.link))))
              and json_unquote(json_extract(e.body, '$.plan_hash')) = json_unquote(json_extract(said, '$.plan_hash'))
              and e.at > sysdate(6) - interval json_extract(said, '$.approvals_within') second
              and e.at < sysdate(6) + interval 1 minute
              and substring(e.db_user, 1, char_length(e.db_user)
                    - char_length(substring_index(e.db_user, '@', -1)) - 1)
                  <> substring(user(), 1, char_length(user()) - char_length(substring_index(user(), '@', -1)) - 1);
            if wanted is null or kept <> wanted then
                signal sqlstate 'AU004'
                    set message_text = 'an approval of this plan is that of its requester, of another plan, too old, or of a time to come';
            end if;
            set kept = 0;
        end if;
        -- A review of a break-glass is that of another account: of one that neither wrote nor merged a row of
        -- its writer, and is not the one that its beginning names.
        if _kind = 'breakglass' and _body like '%"event":"review"%' then
            set said = convert(_body using utf8mb4);
            set plan = json_unquote(json_extract(said, '$.writer'));
            set login = substring(user(), 1, char_length(user()) - char_length(substring_index(user(), '@', -1)) - 1);
            select count(case when e.kind = 'breakglass'
                        and json_unquote(json_extract(e.body, '$.event')) = 'begin' then 1 end),
                   count(case when cast(substring(e.db_user, 1, char_length(e.db_user)
                            - char_length(substring_index(e.db_user, '@', -1)) - 1) as binary) = cast(login as binary)
                        or (e.kind = 'breakglass' and cast(json_unquote(json_extract(e.body, '$.login')) as binary)
                            = cast(login as binary)) then 1 end)
                into kept, wanted
            from entry e where e.writer = plan;
            if plan is null or plan <> _action or kept = 0 or wanted > 0 then
                signal sqlstate 'AU004'
                    set message_text = 'a review of this break-glass is that of who broke or merged it, or it is not here';
            end if;
            set kept = 0;
        end if;
        set hash = unhex(sha2(_body, 256));
        set linked = unhex(sha2(concat('dbdeck/link/1;',
            length(hex(_prev)), ':', lower(hex(_prev)), ',',
            length(_writer), ':', _writer, ',',
            length(_seq), ':', _seq, ',',
            length(_kind), ':', _kind, ',',
            length(_action), ':', _action, ',',
            length(coalesce(_parent, '')), ':', coalesce(_parent, ''), ',',
            length(coalesce(_key, '')), ':', coalesce(_key, ''), ',',
            length(hex(hash)), ':', lower(hex(hash)), ','), 256));
        if linked <> _link then
            signal sqlstate '45000'
                set message_text = 'the link of this row does not fit its content';
        end if;
        select e.seal into seen from entry e order by e.id desc limit 1;
        set moment = sysdate(6);
        set login = convert(user() using utf8mb4);
        set address = substring_index(login, '@', -1);
        set sealed = unhex(sha2(concat('dbdeck/seal/1;',
            length(hex(linked)), ':', lower(hex(linked)), ',',
            length(hex(seen)), ':', lower(hex(seen)), ',',
            length(timestampdiff(microsecond, '1970-01-01', moment)), ':',
            timestampdiff(microsecond, '1970-01-01', moment), ',',
            length(login), ':', login, ',',
            length(address), ':', address, ','), 256));
        insert into entry (at, writer, seq, kind, action_id, parent, idempotency_key, body, body_hash,
            prev, link, witness, db_user, peer, seal)
        values (moment, _writer, _seq, _kind, _action, _parent, _key, convert(_body using utf8mb4), hash,
            _prev, linked, seen, login, address, sealed);
        set made = last_insert_id();
        -- A trigger may have changed the row, another storage engine may have dropped it.
        select e.at = moment and e.writer = _writer and e.seq = _seq and e.kind = _kind
          and e.action_id = _action and e.parent <=> _parent and e.idempotency_key <=> _key
          and unhex(sha2(e.body, 256)) = hash and e.body_hash = hash and e.prev = _prev
          and e.link = linked and e.witness = seen and e.db_user = login and e.peer = address
          and e.seal = sealed
          into kept
        from entry e where e.id = made;
        if not coalesce(kept, 0) then
            signal sqlstate '45000' set message_text = 'the row was swallowed or altered on its way';
        end if;
    end if;
    commit;
    if there is not null then
        select e.id, e.at, e.witness, e.db_user, e.peer, e.seal
        from entry e where e.writer = _writer and e.seq = _seq;
    else
        -- What was just read back: one more look at the row would cost a third of a bare commit.
        select made as id, moment as at, seen as witness, login as db_user, address as peer, sealed as seal;
    end if;
end
-- next
drop procedure if exists find_entry
-- next
create definer = dbdeck_audit_owner@localhost procedure find_key(in _key varbinary(800))
sql security definer
reads sql data
select e.action_id from entry e where e.idempotency_key = _key
-- next
-- Intents whose end is not known; the caller reads the status of the outcome itself.
create definer = dbdeck_audit_owner@localhost procedure open_candidates()
sql security definer
reads sql data
select i.*, o.body as outcome, is_used_lock(concat('dbdeck/', i.writer)) is not null as alive
from entry i
left join entry o on o.outcome_of = i.action_id
where i.kind = 'intent'
  and (o.id is null or o.body like '%"unknown"%')
  and not exists (select 1 from entry r where r.action_id = i.action_id and r.kind = 'resolved')
order by i.id
-- next
create definer = dbdeck_audit_owner@localhost procedure find_approvals(in _action varchar(36) character set ascii)
sql security definer
reads sql data
select e.* from entry e where e.action_id = _action and e.kind = 'approval' order by e.id
-- next
grant execute on procedure find_approvals to dbdeck_audit_owner@localhost
-- next
-- Takes the text of a row away, once a row says so; its hash stays.
create definer = dbdeck_audit_owner@localhost procedure redact_entry(
    in _writer varchar(36) character set ascii, in _seq bigint unsigned
)
sql security definer
modifies sql data
begin
    declare gone int default 0;
    declare exit handler for sqlexception begin rollback; resignal; end;
    start transaction;
    update entry e set e.body = null where e.writer = _writer and e.seq = _seq and e.body is not null;
    set gone = row_count();
    commit;
    select gone;
end
-- next
grant execute on procedure redact_entry to dbdeck_audit_owner@localhost
-- next
grant execute on procedure append_entry to dbdeck_audit_owner@localhost
-- next
grant execute on procedure find_key to dbdeck_audit_owner@localhost
-- next
grant execute on procedure open_candidates to dbdeck_audit_owner@localhost
