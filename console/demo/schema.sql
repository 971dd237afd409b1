-- The shop that has the incident. Run by the scratch server's superuser in the database `shop`.
create schema shop;

create table shop.customers (
  id bigint generated always as identity primary key,
  email text not null unique,
  joined timestamptz not null default now()
);
create table shop.products (
  id bigint generated always as identity primary key,
  name text not null,
  price numeric(10, 2) not null,
  stock int not null
);
create table shop.orders (
  id bigint generated always as identity primary key,
  customer bigint not null references shop.customers,
  status text not null default 'open',
  total numeric(10, 2) not null default 0,
  updated timestamptz not null default now()
);
create index on shop.orders (customer);

insert into shop.customers (email)
select 'customer' || n || '@example.net' from generate_series(1, 2000) n;
insert into shop.products (name, price, stock)
select 'product ' || n, 1 + n % 90, 100 from generate_series(1, 500) n;
insert into shop.orders (customer, total)
select 1 + n % 2000, n % 250 from generate_series(1, 10000) n;

-- What the maintenance views find: dead rows, a foreign key without an index, a duplicate, no primary key.
create table shop.shipments (
  id bigint generated always as identity primary key,
  ordered bigint not null references shop.orders,
  carrier text not null
);
create index shipments_carrier on shop.shipments (carrier);
create index shipments_carrier_again on shop.shipments (carrier);
create table shop.visits (page text not null, seen int not null);
insert into shop.shipments (ordered, carrier)
select 1 + n % 10000, 'carrier ' || n % 7 from generate_series(1, 5000) n;
insert into shop.visits
select 'page ' || n % 100, n from generate_series(1, 30000) n;
delete from shop.visits where seen % 3 <> 0;

grant usage on schema shop to shop_web, shop_worker, reporting, shop_owner;
grant select, insert, update, delete on all tables in schema shop to shop_web, shop_worker;
grant select on all tables in schema shop to reporting;
alter table shop.products owner to shop_owner;
alter table shop.shipments owner to shop_owner;
alter table shop.visits owner to shop_owner;
analyze;
