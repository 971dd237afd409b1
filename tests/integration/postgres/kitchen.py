"""A database with one of everything, and its way through a dump and a restore."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

from tests.servers.accounts import APP
from tests.servers.postgres import PostgresServer

SINK = (
    'create schema shop; create schema "Odd Schema"; create schema tools',
    "create extension pg_trgm schema tools",
    "create extension postgres_fdw",
    "create sequence shop.tickets as int start 5 increment 5 maxvalue 5000 cycle",
    "create type shop.mood as enum ('sad', 'ok', 'happy')",
    "create type shop.pair as (a int, b text)",
    "create domain shop.email as varchar(80) check (value ~ '@') check (value <> 'x@y')",
    "create type shop.span as range (subtype = float8)",
    """create table shop.customers (id int generated always as identity primary key, mail shop.email not null,
       mood shop.mood default 'ok', status varchar(10) check (status in ('new', 'old')), notes json,
       p shop.pair, unique (mail))""",
    """create table shop.orders (id bigserial, customer_id int references shop.customers on delete cascade,
       placed timestamptz default now(), total numeric(10,2), gross numeric generated always as (total * 1.2)
       stored, tags text[], primary key (id, placed)) partition by range (placed)""",
    "create table shop.orders_old partition of shop.orders for values from (minvalue) to ('2024-01-01')",
    "create table shop.orders_new partition of shop.orders for values from ('2024-01-01') to (maxvalue)",
    "create index orders_by_customer on shop.orders (customer_id)",
    "create index customers_lower on shop.customers (lower(mail)) where status = any ('{new,old}')",
    "create index customers_trgm on shop.customers using gin ((mail::text) tools.gin_trgm_ops)",
    "alter table shop.orders alter column tags set statistics 500, alter column tags set storage external",
    'create table "Odd Schema"."a.b ""c" ("t" int, "select" text, "{table}" int, primary key ("{table}"))',
    "create table shop.nothing ()",
    "create unlogged table shop.cache (k text primary key, v text) with (fillfactor = 70)",
    "create table shop.rooms (room int, during tsrange, exclude using gist (during with &&))",
    "create table shop.child (extra int) inherits (shop.rooms)",
    "alter table shop.child add constraint later check (extra > 0) not valid",
    """create view shop.recent as select o.id, c.mail from shop.orders o join shop.customers c
       on c.id = o.customer_id where c.status in ('new', 'old') and o.placed > now() - interval '7 days'""",
    "create view shop.safe with (security_barrier) as select * from shop.customers where mood > 'sad'",
    "create materialized view shop.totals as select customer_id, sum(total) from shop.orders group by 1",
    "create unique index totals_key on shop.totals (customer_id)",
    "create function shop.tax(numeric) returns numeric language sql immutable as 'select $1 * 0.19'",
    "create function shop.stamp() returns trigger language plpgsql as 'begin return new; end'",
    "create procedure shop.tidy(in days int default 3) language sql as 'select 1'",
    "create aggregate shop.product(numeric) (sfunc = numeric_mul, stype = numeric, initcond = '1')",
    "create trigger stamped before insert on shop.customers for each row when (new.status in ('new', 'old'))"
    " execute function shop.stamp()",
    "create trigger part after insert on shop.orders for each row execute function shop.stamp()",
    "alter table shop.customers disable trigger stamped",
    "create function public.heed() returns event_trigger language plpgsql as 'begin end'",
    "create event trigger watcher on ddl_command_end when tag in ('DROP TABLE')"
    " execute function public.heed()",
    "create rule quiet as on delete to shop.child do instead nothing",
    "alter table shop.customers enable row level security",
    "create policy own on shop.customers for select to app_user using (status in ('new', 'old'))",
    "create publication news for table shop.customers",
    "create server other foreign data wrapper postgres_fdw options (host 'nowhere', dbname 'x')",
    "create user mapping for app_user server other options (user 'u', password 'hidden')",
    "create foreign table shop.far (id int) server other options (table_name 'far')",
    "create subscription tidings connection 'host=nowhere dbname=x' publication p with (connect = false)",
    "create statistics shop.dependent (dependencies) on mood, status from shop.customers",
    "create collation shop.plain (locale = 'C')",
    "create text search configuration shop.words (copy = simple)",
    "create text search dictionary shop.stems (template = simple, stopwords = english)",
    "create operator shop.=== (leftarg = int, rightarg = int, function = int4eq)",
    "create function shop.moody(shop.mood) returns int language sql as 'select 1'",
    "create cast (shop.mood as int) with function shop.moody(shop.mood)",
    "grant usage on schema shop to app_user",
    "grant select, insert on shop.customers to app_user with grant option",
    "grant update (mood) on shop.customers to app_user",
    "grant usage on sequence shop.tickets to public",
    "revoke execute on function shop.tax(numeric) from public",
    "grant execute on function pg_stat_reset() to app_user",
    "alter default privileges in schema shop grant select on tables to app_user",
    "alter default privileges revoke execute on functions from public",
    "select lo_from_bytea(424242, 'abc'), lo_from_bytea(424243, 'def')",
    "alter table shop.rooms owner to app_user",
    "insert into shop.customers (mail, status, notes, p) values ('a@b', 'new', '{\"a\": 1}', '(1,x)'),"
    " ('c@d', 'old', null, null)",
    "insert into shop.orders (customer_id, placed, total, tags) select 1 + g % 2,"
    " timestamptz '2023-01-01' + g * interval '7 hours', g, array['x', g::text]"
    " from generate_series(1, 3000) g",
    'insert into "Odd Schema"."a.b ""c" select g, \'v\' || g, g from generate_series(1, 10) g',
    "insert into shop.nothing default values",
    "insert into shop.cache values ('k', 'v')",
    "insert into shop.rooms values (1, '[2024-01-01,2024-01-02)')",
    "insert into shop.child values (2, '[2024-02-01,2024-02-02)', 3)",
    "refresh materialized view shop.totals",
    "alter database {database} set work_mem = '5MB'",
    "alter role app_user in database {database} set search_path = shop",
)  # fmt: skip


async def fill(server: PostgresServer, database: str, statements: tuple[str, ...] = SINK) -> None:
    connection = await server.connect(database=database)
    try:
        for sql in statements:
            await connection.execute(sql.replace("{database}", database))
    finally:
        await connection.close()


async def tool(server: PostgresServer, name: str, *argv: str) -> None:
    """One of the server's own programs, as its superuser over the socket."""
    words = [str(server.binaries / name), "-h", server.host, "-p", str(server.port), "-U", server.superuser]
    process = await asyncio.create_subprocess_exec(
        *words, *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()


async def copied(server: PostgresServer, database: str, folder: Path) -> str:
    """A second database of the same server with what pg_dump wrote of the first."""
    archive = folder / f"{uuid.uuid4().hex}.dump"
    name = f"{database}_copy"
    await tool(server, "pg_dump", "-Fc", "-d", database, "-f", str(archive))
    connection = await server.connect()
    try:
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 OWNER {APP}")
    finally:
        await connection.close()
    await tool(server, "pg_restore", "--exit-on-error", "-d", name, str(archive))
    return name
