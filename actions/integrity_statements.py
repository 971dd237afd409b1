"""What is asked of a restored PostgreSQL about its soundness. It runs on the copy, which is thrown away.

`search_path` is pg_catalog on these connections: names come out in full.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from console.engine.port import Statement

SCHEMA = "dbdeck_amcheck"
# Event triggers of the copy are not to see what we make in it (manual, session_replication_role).
_UNSEEN = (("session_replication_role", "replica"),)

# Runs texts one after the other and tells each row they give as a fault; a text that fails costs no other.
# `until` is when none is begun any more. A text that was cancelled by its time ends all of them.
TRY = """
create or replace function pg_temp.dbdeck_try(numbers int8[], texts text[], until timestamptz)
returns table (number int8, state text, code text, told text) language plpgsql
set search_path = pg_catalog, pg_temp as $dbdeck$
declare
  place int;
  one text;
begin
  for place in 1 .. coalesce(cardinality(texts), 0) loop
    number := numbers[place]; code := ''; told := '';
    if clock_timestamp() >= until then
      state := 'late';
      return next;
      continue;
    end if;
    begin
      state := 'bad';
      for one in execute texts[place] loop
        if one <> '' then
          told := one;
          return next;
        end if;
      end loop;
      state := 'done'; told := '';
      return next;
    exception when others then
      state := 'error'; code := sqlstate; told := sqlerrm;
      return next;
    end;
  end loop;
end
$dbdeck$
"""
_RUN = "select number, state, code, told from pg_temp.dbdeck_try($1, $2, $3)"


class Text(NamedTuple):
    """Something to try: what it is about, and what it costs in bytes to read. `flag` is the caller's."""

    number: int
    name: str
    sql: str
    bytes: int = 0
    flag: str = ""


def prepared() -> Statement:
    shown = "make a temporary function that tries queries one after the other"
    return Statement(sql=TRY, shown=shown, limits=_UNSEEN, command=True)


# What is read is the table itself: an index may be what is broken.
_NO_INDEX = (("enable_indexonlyscan", "off"), ("enable_indexscan", "off"), ("enable_bitmapscan", "off"))


def run(texts: list[Text], shown: str, until: datetime, seconds: float, *, by_index: bool) -> Statement:
    """`seconds` is for the last one that was begun in time."""
    return Statement(
        sql=_RUN,
        args=([one.number for one in texts], [one.sql for one in texts], until),
        shown=shown,
        limits=(
            ("statement_timeout", f"{max(1000, round(seconds * 1000))}ms"),
            ("work_mem", "64MB"),
            ("maintenance_work_mem", "256MB"),  # the filter of heapallindexed lies in it
            *(() if by_index else _NO_INDEX),
        ),
    )


# ---- sequences ------------------------------------------------------------------------------------

# Owned (serial, OWNED BY), of an identity, or called by a column's default; one row a pair of sequence and
# column. A text gives a row where the next value is one that the column has or cannot hold.
_SEQUENCES = """
with used as (
  select d.objid as seq, d.refobjid as tab, d.refobjsubid as col
    from pg_depend d
   where d.classid = 1259 and d.refclassid = 1259 and d.deptype in ('a', 'i') and d.refobjsubid > 0
  union
  select d.refobjid, a.adrelid, a.adnum
    from pg_depend d
    join pg_attrdef a on a.oid = d.objid
   where d.classid = 2604 and d.refclassid = 1259)
select q.seqrelid::int8,
       format('%I.%I', sn.nspname, s.relname),
       format('%I.%I.%I', tn.nspname, t.relname, a.attname),
       format(
         'select case when v.next > %1$s'
         || ' then ''the next value '' || v.next || '' is beyond the %1$s that fit'''
         || ' when not %3$s and (%4$s > 0 and v.next <= m.most or %4$s < 0 and v.next >= m.most)'
         || ' then ''the next value is '' || v.next || '', and the column has '' || m.most end'
         || ' from (select last_value::numeric + case when is_called then %4$s else 0 end as next'
         || ' from %5$s) v,'
         || ' (select %6$s(%7$I)::numeric as most from %2$s) m',
         least(case a.atttypid when 21 then 32767 when 23 then 2147483647 else 9223372036854775807 end,
               case when q.seqcycle or q.seqincrement < 0 then 9223372036854775807 else q.seqmax end),
         format('%I.%I', tn.nspname, t.relname), q.seqcycle::text, q.seqincrement,
         format('%I.%I', sn.nspname, s.relname), case when q.seqincrement > 0 then 'max' else 'min' end,
         a.attname),
       t.relpages::int8 * 8192
  from used u
  join pg_sequence q on q.seqrelid = u.seq
  join pg_class s on s.oid = q.seqrelid
  join pg_namespace sn on sn.oid = s.relnamespace
  join pg_class t on t.oid = u.tab and t.relkind in ('r', 'p')
  join pg_namespace tn on tn.oid = t.relnamespace
  join pg_attribute a on a.attrelid = u.tab and a.attnum = u.col and not a.attisdropped
 where s.relpersistence <> 't'
   and a.atttypid in (20, 21, 23, 1700)
   and not t.relispartition
 order by 5, 2, 3
"""


def sequences() -> Statement:
    return Statement(sql=_SEQUENCES, shown="look which sequence numbers which column")


# ---- indexes and constraints ---------------------------------------------------------------------

_INVALID = """
select format('%I.%I', n.nspname, c.relname)
  from pg_index x
  join pg_class c on c.oid = x.indexrelid
  join pg_namespace n on n.oid = c.relnamespace
 where c.relkind = 'i' and not (x.indisvalid and x.indisready and x.indislive)
 order by 1
"""


def invalid_indexes() -> Statement:
    return Statement(sql=_INVALID, shown="look for invalid indexes")


_UNCHECKED = """
select format('%I.%I.%I', n.nspname, c.relname, o.conname)
  from pg_constraint o
  join pg_class c on c.oid = o.conrelid
  join pg_namespace n on n.oid = c.relnamespace
 where not o.convalidated and o.conparentid = 0
 order by 1
"""


def unvalidated() -> Statement:
    return Statement(sql=_UNCHECKED, shown="look for constraints that are NOT VALID")


# The rows that ALTER TABLE … VALIDATE CONSTRAINT would find (RI_Initial_Check in ri_triggers.c), counted: no
# lock but that of a SELECT, nothing is changed, and no row is in a message. A partitioned table is looked at
# whole, so constraints inherited by its parts are not.
_KEYS = """
select o.oid::int8,
       format('%I.%I.%I', n.nspname, c.relname, o.conname),
       case when to_jsonb(o) ->> 'conperiod' = 'true' then 'it is over periods'
            when to_jsonb(o) ->> 'conenforced' = 'false' then 'it is not enforced' end,
       o.convalidated,
       (c.relpages::int8 + p.relpages::int8) * 8192,
       format('select nullif(count(*), 0) || '' rows refer to none'' from %s%I.%I f where (%s) and not exists'
              || ' (select from %s%I.%I p where %s)%s',
              case when c.relkind = 'p' then '' else 'only ' end, n.nspname, c.relname, k.filled,
              case when p.relkind = 'p' then '' else 'only ' end, m.nspname, p.relname, k.equal,
              case when o.confmatchtype = 'f' then format(' or (%s) and not (%s)', k.partly, k.filled)
                   else '' end)
  from pg_constraint o
  join pg_class c on c.oid = o.conrelid
  join pg_namespace n on n.oid = c.relnamespace
  join pg_class p on p.oid = o.confrelid
  join pg_namespace m on m.oid = p.relnamespace
 cross join lateral (
       select string_agg(format('f.%I is not null', a.attname), ' and ') as filled,
              string_agg(format('f.%I is not null', a.attname), ' or ') as partly,
              string_agg(format('p.%I operator(%I.%s) f.%I', b.attname, s.nspname, r.oprname, a.attname),
                         ' and ') as equal
         from unnest(o.conkey, o.confkey, o.conpfeqop) u(one, other, op)
         join pg_attribute a on a.attrelid = o.conrelid and a.attnum = u.one
         join pg_attribute b on b.attrelid = o.confrelid and b.attnum = u.other
         join pg_operator r on r.oid = u.op
         join pg_namespace s on s.oid = r.oprnamespace) k
 where o.contype = 'f'
   and o.conparentid = 0
 order by 5, 2
"""


def foreign_keys() -> Statement:
    return Statement(sql=_KEYS, shown="look at the foreign keys")


# ---- collations ------------------------------------------------------------------------------------


def collations(major: int) -> Statement:
    """Those whose rules, by their version, are others here than where the data was sorted."""
    parts = [
        """
select format('collation %I.%I: %s there, %s here', n.nspname, c.collname, c.collversion,
              pg_collation_actual_version(c.oid))
  from pg_collation c
  join pg_namespace n on n.oid = c.collnamespace
 where c.collversion is not null
   and c.collversion is distinct from pg_collation_actual_version(c.oid)
   and exists (select from pg_depend d
                where d.refclassid = 3456 and d.refobjid = c.oid and d.classid in (1259, 2606, 1247))"""
    ]
    if major >= 15:
        parts.append("""
select format('the database: %s there, %s here', d.datcollversion,
              pg_database_collation_actual_version(d.oid))
  from pg_database d
 where d.datname = current_database()
   and d.datcollversion is not null
   and d.datcollversion is distinct from pg_database_collation_actual_version(d.oid)""")
    return Statement(sql=" union all ".join(parts), shown="compare the versions of collations")


# ---- amcheck ---------------------------------------------------------------------------------------

_EXTENSION = """
select a.default_version, x.extversion, n.nspname::text, current_setting('data_checksums'),
       current_setting('server_version_num')::int4
  from (select) one
  left join pg_available_extensions a on a.name = 'amcheck'
  left join pg_extension x on x.extname = 'amcheck'
  left join pg_namespace n on n.oid = x.extnamespace
"""


def extension() -> Statement:
    return Statement(sql=_EXTENSION, shown="look whether amcheck is there")


def install(present: bool) -> tuple[Statement, ...]:
    """A backup of an older server brings an older version of it along."""
    texts = ["alter extension amcheck update"] if present else [
        f"create schema if not exists {SCHEMA}", f"create extension amcheck schema {SCHEMA}"
    ]  # fmt: skip
    return tuple(Statement(sql=text, shown=text, limits=_UNSEEN, command=True) for text in texts)


# `text` are indexes whose order depends on a collation that the system brings; 950 and 951 are C and POSIX.
_RELATIONS = """
select c.oid::int8,
       case when c.relkind = 'i' then i.amname else 'heap' end,
       case when n.nspname = 'pg_toast' and c.relkind = 't' then 'TOAST of ' else '' end
         || case when c.relkind = 't'
                 then (select format('%I.%I', m.nspname, o.relname)
                         from pg_class o
                         join pg_namespace m on m.oid = o.relnamespace
                        where o.reltoastrelid = c.oid)
                 else format('%I.%I', n.nspname, c.relname) end,
       greatest(c.relpages::int8, pg_relation_size(c.oid) / 8192) * 8192,
       coalesce(t.relpages, 0)::int8 * 8192,
       c.relkind = 'i' and exists (select from unnest(x.indcollation::oid[]) u(one)
                                    where u.one not in (0, 950, 951)),
       format('%I.%I', n.nspname, c.relname)
  from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  left join pg_am i on i.oid = c.relam
  left join pg_index x on x.indexrelid = c.oid
  left join pg_class t on t.oid = x.indrelid
 where c.relpersistence <> 't'
   and (c.relkind in ('r', 'm', 't') and coalesce(i.amname, 'heap') = 'heap'
        or c.relkind = 'i' and x.indisvalid and x.indisready and x.indislive)
 order by 4, 3
"""


def relations() -> Statement:
    return Statement(sql=_RELATIONS, shown="look at tables and indexes and how large they are")


def heap_text(schema: str, number: int) -> str:
    """The first three faults by their places; no row is told. `schema` is quoted."""
    told = "'block ' || blkno || coalesce(', line ' || offnum, '') || ': ' || msg"
    return f"select {told} from {schema}.verify_heapam({number}::regclass, on_error_stop => true) limit 3"  # noqa: S608


def read_text(name: str) -> str:
    """Every page of it, where amcheck is not there or is too old. `name` is quoted."""
    return f"select case when count(*) < 0 then 'less than none' end from only {name}"  # noqa: S608


def btree_text(schema: str, number: int, *, deep: bool, unique: bool) -> str:
    if not deep:
        return f"select {schema}.bt_index_check({number}::regclass)::text"
    options = "true, false, true" if unique else "true"  # heapallindexed, rootdescend, checkunique
    return f"select {schema}.bt_index_parent_check({number}::regclass, {options})::text"


def live_btree_text(schema: str, number: int, *, deep: bool, unique: bool) -> str:
    """For a server at work: readers and writers go on, which bt_index_parent_check would stop.

    `deep`: every row of the table has to be in it; `unique`: and no value twice (17+).
    """
    options = ", true, true" if deep and unique else ", true" if deep else ""
    return f"select {schema}.bt_index_check({number}::regclass{options})::text"
