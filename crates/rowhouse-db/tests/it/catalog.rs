//! The snapshot of views, functions and roles of a real database.

use rowhouse_db::catalog::{self, RelationKind};

use crate::support::{Harness, one_connection};

const SCHEMA: &str = "
    create table public.lists (id int primary key, name text);
    create table public.todos (id int primary key, list_id int references public.lists, title text);
    create schema hidden;
    create view hidden.open_todos as select t.id as todo, t.list_id as list, t.title from public.todos t;
    create view public.open_todos as
      with open as (select * from hidden.open_todos)
      select o.title, o.todo, o.list, l.name from open o join public.lists l on l.id = o.list;
    create materialized view public.all_lists as select * from public.lists;
    create view public.both as select id from public.lists union select id from public.todos;
    create function public.first_todo(public.lists) returns setof public.todos rows 1 stable language sql as
      'select * from public.todos where list_id = $1.id order by id limit 1';
    create domain public.\"text/calendar\" as text;
    create function public.calendar() returns public.\"text/calendar\" language sql set statement_timeout = '2s' as
      'select ''BEGIN''';
    alter role anon set statement_timeout = '3s';
    alter role anon set row_security = off";

#[tokio::test]
async fn views_functions_and_roles_are_read_correctly() {
    let harness = Harness::new(one_connection()).await;
    let client = harness.db.superuser().await;
    client.batch_execute(SCHEMA).await.unwrap();
    let snapshot = catalog::load(&client, &["public".to_owned()]).await.unwrap();
    client.batch_execute("alter role anon reset all").await.unwrap();

    let todos = snapshot.table("public", "open_todos").unwrap();
    assert_eq!(todos.primary_key, ["todo"]);
    let to = |table: &str, target: &str| -> Vec<_> {
        let relations = &snapshot.table("public", table).unwrap().relations;
        relations.iter().filter(|relation| relation.target.name == target).cloned().collect()
    };
    let up = to("open_todos", "lists");
    assert_eq!((up.len(), &up[0].kind), (1, &RelationKind::ManyToOne));
    assert_eq!(up[0].columns, [("list".to_owned(), "id".to_owned())]);
    assert_eq!(to("open_todos", "all_lists").len(), 1, "from view to view");
    assert_eq!(to("all_lists", "todos")[0].kind, RelationKind::OneToMany);
    assert!(to("lists", "open_todos")[0].target_is_view);
    assert!(snapshot.table("public", "both").unwrap().primary_key.is_empty(), "union has no origin");

    let computed = to("lists", "todos").into_iter().find(|relation| relation.columns.is_empty()).unwrap();
    assert!(computed.is_to_one());
    assert_eq!(snapshot.handlers()[0].media, "text/calendar");
    let calendar = &snapshot.functions("public", "calendar")[0];
    assert_eq!(calendar.settings, [("statement_timeout".to_owned(), "2s".to_owned())]);
    assert_eq!(snapshot.role_settings("anon"), [("statement_timeout".to_owned(), "3s".to_owned())]);
}
