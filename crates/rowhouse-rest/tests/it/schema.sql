-- A lending library: every kind of object that the data API knows, small enough to compute answers in one's head.
create schema lib;
create schema back;
create schema "Über";
create schema hidden;
grant usage on schema lib, back, "Über" to anon, authenticated;
set search_path = lib;

-- People and works: many-to-one twice over the same pair, one-to-one, many-to-many, itself.
create table publishers (id int primary key, name text not null, country text);
comment on table publishers is E'Publishing houses\nThose that we buy from.';
comment on column publishers.country is 'ISO code';
create table authors (id int primary key, name text not null, born date);
create table books (
  id int primary key,
  title text not null,
  year int,
  price numeric(6, 2),
  tags text[] not null default '{}',
  meta jsonb,
  span int4range,
  words tsvector generated always as (to_tsvector('english', title)) stored,
  author_id int constraint books_author_id_fkey references authors,
  editor_id int constraint books_editor_id_fkey references authors,
  publisher_id int constraint books_publisher_id_fkey references publishers
);
create table cards (book_id int primary key references books, isbn text not null, pages int);
create table genres (id int primary key, name text not null unique, parent_id int references genres);
create table books_genres (book_id int references books, genre_id int references genres, note text, primary key (book_id, genre_id));

insert into publishers values (1, 'Alder', 'DE'), (2, 'Birch', 'NL'), (3, 'Cedar', null);
insert into authors values (1, 'Ada', '1950-01-02'), (2, 'Ben', '1960-03-04'), (3, 'Cleo', null);
insert into books (id, title, year, price, tags, meta, span, author_id, editor_id, publisher_id) values
  (1, 'Apple trees', 1999, 10.50, '{red,old}', '{"shelf": {"row": 1, "box": "a"}, "notes": ["x", "y"]}', '[1,5)', 1, 2, 1),
  (2, 'Bird songs', 2005, 20.00, '{blue}', '{"shelf": {"row": 2, "box": "b"}, "notes": []}', '[5,9)', 1, null, 2),
  (3, 'Cold rivers', 2012, null, '{red,new}', null, '[3,7)', 2, 1, 1),
  (4, 'Deep, dark "woods"', null, 5.00, '{}', '{"shelf": null}', null, null, null, null);
insert into cards values (1, '111', 100), (2, '222', 200);
insert into genres values (1, 'nature', null), (2, 'trees', 1), (3, 'birds', 1);
insert into books_genres values (1, 1, 'main'), (1, 2, null), (2, 1, null), (2, 3, 'main');

-- What is read through something else.
create view recent as select id, title, year, author_id from books where year > 2000;
create view recent_titles as select id, title, author_id from recent;
create materialized view book_index as select id, title, author_id from books;
create view everyone as select id, name from authors union select id, name from publishers;
create table loans (id int, book_id int references books, day date, primary key (id, day)) partition by range (day);
create table loans_2024 partition of loans for values from ('2024-01-01') to ('2025-01-01');
create table loans_2025 partition of loans for values from ('2025-01-01') to ('2026-01-01');
insert into loans values (1, 1, '2024-05-01'), (2, 1, '2025-05-01'), (3, 2, '2025-06-01');
-- Joins two tables, but has no primary key over both references: no junction.
create table visits (author_id int references authors, publisher_id int references publishers);
create table "Odd Names" ("the key" int primary key, "a.b" text, "x,y" text, "ünï" text, "dash-ed" text, money$ int);
insert into "Odd Names" values (1, 'dot', 'comma', 'umlaut', 'dash', 5);

create table flags (id int primary key, "on" boolean);
insert into flags values (1, true), (2, false), (3, null);
create type spot as (x int, y text);
create table places (id int primary key, spot spot, extra jsonb);
insert into places values (1, (1, 'one'), '{"a key": "v", "a-b": "w"}'), (2, (2, 'two'), null);
create table counted (id int primary key) with (autovacuum_enabled = false);
insert into counted select generate_series(1, 3);
analyze counted;
-- Never scanned: nothing answers there.
create extension postgres_fdw with schema extensions;
create server elsewhere foreign data wrapper postgres_fdw;
create foreign table far (note text) server elsewhere;
-- a wrapper that can do nothing must not keep the rest from being served
create foreign data wrapper nothing_wrapper;
create server nowhere foreign data wrapper nothing_wrapper;
create foreign table unreachable (note text) server nowhere;
create function isolated() returns text stable language sql set default_transaction_isolation = 'serializable'
  as $$ select current_setting('transaction_isolation') $$;

-- Functions of a row: columns and relationships.
create function label(books) returns text language sql stable as $$ select $1.id || ': ' || $1.title $$;
create function later_books(authors) returns setof books language sql stable as $$ select * from lib.books where author_id = $1.id and year > 2000 $$;
create function first_author(books) returns setof authors rows 1 language sql stable as $$ select * from lib.authors where id = $1.author_id $$;
create function parent(genres) returns setof genres rows 1 language sql stable as $$ select * from lib.genres where id = $1.parent_id $$;
create function children(genres) returns setof genres language sql stable as $$ select * from lib.genres where parent_id = $1.id $$;
create function far_notes(authors) returns setof far language plpgsql stable as $$ begin return query select 'about ' || $1.name; end $$;
-- Named like a detected relationship, which it replaces.
create function genres(cards) returns setof genres language sql stable as $$ select * from lib.genres where id = 3 $$;

-- Tables to write to.
create table members (
  id int generated by default as identity (start 100) primary key,
  name text not null default 'nobody' constraint members_name_check check (name <> ''),
  email text constraint members_email_key unique,
  joined date default '2025-01-01',
  shout text generated always as (upper(name)) stored
);
create table stock (shelf text, slot int, qty int default 0, primary key (shelf, slot));
create table serials (id int generated always as identity (start 500) primary key, note text);
create table keyless (a int, b text);
create table pairs (id int primary key, other int constraint pairs_other_fkey references pairs deferrable initially deferred);
create table secrets (id int primary key, word text);
create table strict (id int primary key, owner text);
alter table strict enable row level security;
create policy own on strict using (true) with check (owner = 'me');
create view shelves as select distinct shelf from stock;
create view member_names as select id, name from members;
insert into members (id, name, email) values (1, 'ann', 'ann@example.com'), (2, 'bob', null), (3, 'cid', null);
insert into stock values ('a', 1, 5), ('a', 2, 6), ('b', 1, 7);
insert into keyless values (1, 'x');
insert into secrets values (1, 'hush');
insert into strict values (1, 'me');

-- Functions to call.
create function add(a int, b int default 10) returns int language sql immutable as $$ select a + b $$;
create function total(variadic nums int[]) returns bigint language sql immutable as $$ select coalesce(sum(n), 0) from unnest(nums) n $$;
create function pick(a int) returns text language sql immutable as $$ select 'one' $$;
create function pick(a int, b int) returns text language sql immutable as $$ select 'two' $$;
create function clash(a int) returns text language sql immutable as $$ select 'int' $$;
create function clash(a text) returns text language sql immutable as $$ select 'text' $$;
create function take_json(json) returns text language sql immutable as $$ select json_typeof($1) $$;
create function take_jsonb(jsonb) returns jsonb language sql immutable as $$ select $1 || '{"seen": true}' $$;
create function take_text(text) returns text language sql immutable as $$ select upper($1) $$;
create function take_xml(xml) returns xml language sql immutable as $$ select xmlelement(name wrapped, $1) $$;
create function take_bytes(bytea) returns int language sql immutable as $$ select length($1) $$;
create function one_book(id int) returns books language sql stable as $$ select * from lib.books b where b.id = one_book.id $$;
create function books_since(since int) returns setof books language sql stable as $$ select * from lib.books where year >= since $$;
create function pairs_table(n int) returns table (i int, square int) language sql immutable as $$ select x, x * x from generate_series(1, n) x $$;
create function halves(inout whole int, out half numeric) language sql immutable as $$ select whole, whole / 2.0 $$;
create function words() returns setof text language sql immutable as $$ values ('a'), ('b') $$;
create function any_record() returns record language sql immutable as $$ select 1 as one, 'two'::text $$;
create function nothing() returns void language sql as $$ $$;
create function put_member(name text) returns void language sql as $$ insert into lib.members (name) values (name) $$;
create function drop_members() returns setof members language sql as $$ delete from lib.members returning * $$;
create procedure proc() language sql as $$ $$;
create aggregate product(int) (sfunc = int4mul, stype = int, initcond = 1);
create function setting(name text) returns text language sql stable as $$ select current_setting(name, true) $$;
create function loose_setting(name text) returns text language sql volatile as $$ select current_setting(name, true) $$;
create function patience() returns text language sql stable set statement_timeout = '7s' as $$ select current_setting('statement_timeout') $$;
create function slow() returns void language sql volatile set statement_timeout = '20ms' as $$ select pg_sleep(5) $$;
create function fail(state text, message text default 'no luck') returns void language plpgsql as $$
begin raise exception using errcode = state, message = message, detail = 'a detail', hint = 'a hint'; end $$;
create function raise_all(message text, detail text default null) returns void language plpgsql as $$
begin
  if detail is null then raise sqlstate 'PGRST' using message = message; end if;
  raise sqlstate 'PGRST' using message = message, detail = detail;
end $$;
create function respond(status text default '', headers text default '') returns text language plpgsql volatile as $$
begin
  perform set_config('response.status', status, true), set_config('response.headers', headers, true);
  return 'done';
end $$;
create function gate() returns void language plpgsql as $$
begin
  if current_setting('request.headers', true)::json ->> 'x-gate' = 'closed' then
    raise sqlstate 'PT418' using message = 'the gate is closed';
  end if;
  perform set_config('response.headers', '[{"x-gate": "open"}]', true);
end $$;

-- A domain that looks one way inside and another way outside.
create domain hue as int;
create function hue_json(hue) returns json language sql immutable as $$ select to_json('#' || lpad(to_hex($1), 6, '0')) $$;
create function hue_text(text) returns hue language sql immutable as $$ select ('x' || lpad(ltrim($1, '#'), 8, '0'))::bit(32)::int::lib.hue $$;
create function hue_read(json) returns hue language sql immutable as $$ select lib.hue_text($1 #>> '{}') $$;
create cast (hue as json) with function hue_json(hue) as implicit;
create cast (text as hue) with function hue_text(text) as implicit;
create cast (json as hue) with function hue_read(json) as implicit;
create table paints (id int primary key, hue hue);
insert into paints values (1, 255), (2, 65280);

-- Media types of the project's own.
create domain "text/plain" as text;
create domain "text/xml" as xml;
create domain "application/octet-stream" as bytea;
create domain "text/tab-separated-values" as text;
create domain "application/vnd.lib.list" as text;
create domain "*/*" as bytea;
create function tsv_step(state "text/tab-separated-values", next books) returns "text/tab-separated-values" language sql immutable as
  $$ select (state || next.id || E'\t' || next.title || E'\n')::lib."text/tab-separated-values" $$;
create aggregate tsv(books) (sfunc = tsv_step, stype = "text/tab-separated-values", initcond = '');
create function list_step(state "application/vnd.lib.list", next anyelement) returns "application/vnd.lib.list" language sql immutable as
  $$ select (state || '* ' || next::text || E'\n')::lib."application/vnd.lib.list" $$;
create aggregate list(anyelement) (sfunc = list_step, stype = "application/vnd.lib.list", initcond = '');
create function poem() returns "text/plain" language sql immutable as $$ select E'roses\nviolets'::lib."text/plain" $$;
create function leaf() returns "text/xml" language sql immutable as $$ select '<leaf/>'::xml::lib."text/xml" $$;
create function blob() returns "application/octet-stream" language sql immutable as $$ select '\x68690a'::bytea::lib."application/octet-stream" $$;
create function whatever() returns "*/*" language sql stable as $$
  select set_config('response.headers', '[{"content-type": "image/x-dot"}]', true);
  select 'dots'::bytea::lib."*/*" $$;
create function silent() returns "*/*" language sql stable as $$ select 'dots'::bytea::lib."*/*" $$;
create view clock as select '2025-06-01 12:00:00+00'::timestamptz as at;

grant select, insert, update, delete on all tables in schema lib to authenticated;
revoke all on secrets from authenticated;
revoke delete on stock from authenticated;
grant select on books, authors to anon;

create table back.books (id int primary key, label text);
comment on schema back is E'The back room\nWhere the rest is kept.';
comment on table back.books is E'Old books\nNobody asks for them.';
comment on column back.books.label is 'On the spine';
insert into back.books values (1, 'other books');
create function back.where_am_i() returns text language sql stable as $$ select current_schema()::text $$;
grant select, insert on back.books to authenticated;
create table "Über".dinge (id int primary key);
insert into "Über".dinge values (7);
grant select on "Über".dinge to authenticated;
create table hidden.books (id int);

-- Roles belong to the server, which several databases share: the second one finds them existing.
do $$ begin
  create role patient;
  alter role patient set statement_timeout = '9s';
  grant patient to authenticator;
exception when duplicate_object or unique_violation then null;
end $$;
grant usage on schema lib to patient;
