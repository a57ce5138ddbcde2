create schema names;
create table names.item_1 (id int primary key, n text);
create table names.item (id int primary key, one int references names.item_1, n text);
insert into names.item_1 values (1, 'x'), (2, 'y');
insert into names.item values (10, 1, 'ten'), (20, 2, 'twenty'), (1, 1, 'self');
create function names.item_ones() returns setof names.item_1 language sql stable as 'select * from names.item_1';

create table names.a_table_whose_name_is_as_long_as_postgresql_lets_names_be_63_by (
  id int primary key,
  parent int references names.a_table_whose_name_is_as_long_as_postgresql_lets_names_be_63_by);
insert into names.a_table_whose_name_is_as_long_as_postgresql_lets_names_be_63_by
values (1, null), (2, 1), (3, 2);

create table names.tag (id int primary key, tag text);
insert into names.tag values (1, 'a'), (2, 'b');
create table names.items (id int primary key, tag_id int references names.tag);
create function names.others(names.tag) returns setof names.tag language sql stable
as 'select * from names.tag where id <> $1.id';
create function names.loud(names.tag) returns text language sql stable as $$ select upper($1.tag) || '!' $$;
create function names.pairs() returns table (i int, j int) language sql stable as 'select 1, 2';

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
