create schema trips;
create domain trips.hue as int;
create function trips.hue_json(trips.hue) returns json language sql immutable
as $$ select to_json('#' || lpad(to_hex($1), 6, '0')) $$;
create function trips.hue_text(text) returns trips.hue language sql immutable
as $$ select ('x' || lpad(ltrim($1, '#'), 8, '0'))::bit(32)::int::trips.hue $$;
create function trips.hue_read(json) returns trips.hue language sql immutable
as $$ select trips.hue_text($1 #>> '{}') $$;
create cast (trips.hue as json) with function trips.hue_json(trips.hue) as implicit;
create cast (text as trips.hue) with function trips.hue_text(text) as implicit;
create cast (json as trips.hue) with function trips.hue_read(json) as implicit;

create table trips.docs (id int primary key, d jsonb, say text, n int, hue trips.hue default 255::trips.hue, "a,b" text);
insert into trips.docs values
  (1, '{"k": [1, "two\nlines"]}', 'C:\dir "quoted"', 7, 255, 'NULL'),
  (2, '"text"', '', null, 65280, null);
create table trips.lone (id int primary key, say text);
insert into trips.lone values (1, null), (2, ''), (3, 'NULL'), (4, 'x');
do $$ begin
  execute 'create table trips.wide (id int primary key, '
    || (select string_agg(format('c%s int default %s', i, i), ', ') from generate_series(0, 59) i) || ')';
end $$;

create table trips.places (id int primary key, name text);
create table trips.visits (id int primary key, place_id int references trips.places);
insert into trips.places values (1, 'Lake'), (2, 'Desert'), (3, 'Moor');
insert into trips.visits values (1, 1), (2, 1), (3, 1), (4, 3);
create table trips.raw (id int primary key, j json);
insert into trips.raw values (1, E'{"a":\n1}'), (2, E'[1,\r\n2]');

do $$ begin
  execute format('alter database %I set bytea_output = escape', current_database());
end $$;
create domain trips."application/octet-stream" as bytea;
create function trips.blob() returns trips."application/octet-stream" language sql immutable
as $$ select '\x00ff0a'::bytea::trips."application/octet-stream" $$;

create function trips.refuse() returns int language plpgsql immutable as $$ begin
  raise sqlstate 'PGRST' using message = '{"code":"1","message":"m"}',
    detail = '{"status":332,"status_text":"My Custom Status","headers":{}}';
end $$;
create table trips.exact (
  id int primary key, price money, big numeric, wide bigint, raw bytea, lists numeric[], doc jsonb);
insert into trips.exact values
  (1, '92233720368547758.07', '12345678901234567890123456789.123456789', 9223372036854775807, '\x00ff0a5c22', '{0.10,1e30}',
   '{"n": 100000000000000000000.10}'),
  (2, null, null, null, null, null, null);
create table trips.texts (id int primary key, say text, doc jsonb, odd text[]);
insert into trips.texts values
  (1, '', null, '{}'), (2, null, '{"a": "x,\"y\"\nz\\"}', null), (3, E'a,"b"\nc\\d\re', '"s"', '{"a,b",NULL,"\"q\""}'), (4, ' NULL ', 'null', '{NULL}'),
  (5, 'NULL', '[]', '{"NULL"}'), (6, '\N', '[null]', '{"\\"}'), (7, U&'\FEFFmark', '1e400', '{x}');
create table trips.hues (id int primary key default 1, hue trips.hue not null default 255::trips.hue, other trips.hue);
insert into trips.hues values (1, 255, 1), (2, 65280, null);

grant usage on schema trips to anon;
grant all on all tables in schema trips to anon;
