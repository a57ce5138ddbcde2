create schema names;
create table names.item_1 (id int primary key, n text);
create table names.item (id int primary key, one int references names.item_1, n text);
insert into names.item_1 values (1, 'x'), (2, 'y');
insert into names.item values (10, 1, 'ten'), (20, 2, 'twenty'), (1, 1, 'self');
create function names.item_ones() returns setof names.item_1 language sql stable as 'select * from names.item_1';

create table names.a_table_whose_name_is_as_long_as_postgresql_lets_names_be_63_by (
  id int primary key,
  parent int references names.a_table_whose_name_is_as_long_as_postgresql_lets_names_be_63_by,
  a_column_whose_name_is_as_long_as_postgresql_lets_names_be_63_b text);
insert into names.a_table_whose_name_is_as_long_as_postgresql_lets_names_be_63_by
values (1, null, 'a'), (2, 1, 'b'), (3, 2, 'c');
create function names.long_ones() returns setof names.a_table_whose_name_is_as_long_as_postgresql_lets_names_be_63_by
language sql stable as 'select * from names.a_table_whose_name_is_as_long_as_postgresql_lets_names_be_63_by';

create table names.tag (id int primary key, tag text);
insert into names.tag values (1, 'a'), (2, 'b');
create table names.items (id int primary key, tag_id int references names.tag);
create function names.others(names.tag) returns setof names.tag language sql stable
as 'select * from names.tag where id <> $1.id';
create function names.loud(names.tag) returns text language sql stable as $$ select upper($1.tag) || '!' $$;
create function names.pairs() returns table (i int, j int) language sql stable as 'select 1, 2';

create table names.rowhouse_1_0 (id int primary key, rowhouse_row text, rowhouse_source int, rowhouse_key int);
create table names.rowhouse_t1 (
  id int primary key, up int references names.rowhouse_1_0, rowhouse_t1 text, rowhouse_body int, rowhouse_json int default 3);
create table names.rowhouse_body (id int primary key, up int references names.rowhouse_t1, rowhouse_element text);
create function names.rowhouse_call(rowhouse_body int) returns table (rowhouse_call int, rowhouse_scalar int)
language sql stable as 'select $1, 2';
insert into names.rowhouse_1_0 values (1, 'row', 5, 9), (2, 'two', 6, 8);
insert into names.rowhouse_t1 values (1, 1, 't', 7), (2, 2, 'u', 8);
insert into names.rowhouse_body values (1, 1, 'x');

create schema core;
create schema v1;
create schema v2;
create table core.lists (id int primary key, name text);
create table core.todos (id int primary key, list_id int references core.lists);
create table core.tags (id int primary key, name text);
create table core.secret (id int primary key, todo_id int references core.todos);
create table core.todo_tags (
  todo_id int references core.todos, tag_id int references core.tags, primary key (todo_id, tag_id));
insert into core.lists values (1, 'home');
insert into core.todos values (1, 1);
insert into core.tags values (1, 'red');
insert into core.todo_tags values (1, 1);
create view v1.lists as table core.lists;
create view v1.todos as table core.todos;
create view v1.tags as table core.tags;
create view v1.todo_tags as table core.todo_tags;
create view v2.lists as select id, name as label from core.lists;
create view v2.todos as table core.todos;
create view v2.tags as table core.tags;
create view v2.todo_tags as table core.todo_tags;
create view v2.secret as table core.secret;

grant usage on schema names, v1, v2 to anon;
grant all on all tables in schema names, v1, v2 to anon;
