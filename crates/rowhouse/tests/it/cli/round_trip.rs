//! `migrate roundtrip`: up, down and up again beside the database.

use rowhouse_testkit::Cluster;
use serde_json::json;

use super::migrate::Team;
use crate::program::Run;

pub(super) async fn databases(team: &Team) -> i64 {
    let sql = "select count(*) from pg_database where datname like format('rowhouse\\_scratch\\_%s\\_%%', (select oid from pg_database where datname = current_database()))";
    team.db.superuser().await.query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn file_whose_way_back_leads_to_where_it_began_holds() {
    let team = Team::start().await;
    team.up().await;
    let all = team.run(&["migrate", "roundtrip", "--all", "--json"]);
    let document = all.document();
    assert_eq!((all.code, &document["verdict"]), (0, &json!("pass")), "{all:?}");
    assert_eq!(document["files"].as_array().unwrap().len(), 2);
    assert_eq!(databases(&team).await, 0, "the database for it is gone");
    assert_eq!(team.run(&["migrate", "verify"]).code, 0, "the other one is as it was");
}

#[tokio::test]
async fn way_back_that_leaves_something_is_named_with_what_differs() {
    let team = Team::start().await;
    team.up().await;
    std::fs::write(
        team.folder.path().join("seed.sql"),
        "insert into public.todos (title) values ('a'), ('b');",
    )
    .unwrap();
    team.write(
        "20260103000000_note.sql",
        "alter table public.todos add column note text; create index todos_note_idx on public.todos (note);",
    );
    team.write(
        "20260103000000_note.down.sql",
        "drop index public.todos_note_idx; delete from public.todos where title = 'a';",
    );
    let found = team.run(&["migrate", "roundtrip", "--json"]);
    let document = found.document();
    let file = &document["files"][0];
    assert_eq!(
        (found.code, &file["name"], &file["outcome"]),
        (1, &json!("20260103000000_note.sql"), &json!("failed"))
    );
    team.write(
        "20260103000000_note.down.sql",
        "drop index public.todos_note_idx; alter table public.todos drop column note; \
         alter table public.todos alter column title set default 'x'; delete from public.todos where title = 'a';",
    );
    let document = team.run(&["migrate", "roundtrip", "--json"]).document();
    let file = &document["files"][0];
    assert_eq!(file["differences"][0], json!({ "object": "column public.todos.title", "change": "changed" }));
    assert_eq!(
        (&file["outcome"], &file["rows"]),
        (&json!("differs"), &json!(["public.todos"])),
        "{document}"
    );
    let text = team.run(&["migrate", "roundtrip"]);
    assert!(text.out.contains("column public.todos.title changed"), "{text:?}");
    assert_eq!(databases(&team).await, 0);
}

#[tokio::test]
async fn file_without_a_way_back_says_so_or_is_refused() {
    let team = Team::start().await;
    team.write("20260101000000_a.sql", "create table public.a ();");
    let none = team.run(&["migrate", "roundtrip", "--json"]);
    assert_eq!((none.code, &none.document()["files"][0]["outcome"]), (1, &json!("no_way_back")));
    team.write("20260101000000_a.sql", "-- rowhouse: reversible no\ncreate table public.a ();");
    let declared = team.run(&["migrate", "roundtrip", "--json"]);
    assert_eq!((declared.code, &declared.document()["files"][0]["outcome"]), (0, &json!("one_way")));
}

#[tokio::test]
async fn seed_that_does_not_fit_is_told_only_where_there_are_tables_for_it() {
    let team = Team::start().await;
    team.up().await;
    let seed = "insert into public.todos (title, done) values ('a', true);";
    std::fs::write(team.folder.path().join("seed.sql"), seed).unwrap();
    for command in ["roundtrip", "trace"] {
        let all = team.run(&["migrate", command, "--all"]);
        assert!(all.code == 0 && !all.err.contains("seed.sql"), "{all:?}");
    }
    let newest = team.run(&["migrate", "roundtrip"]);
    assert!(newest.err.contains("seed.sql does not fit"), "{newest:?}");
}

#[tokio::test]
async fn databases_of_dead_processes_are_dropped_by_the_next_run() {
    let team = Team::start().await;
    let client = team.db.superuser().await;
    let oid: u32 = client
        .query_one("select oid from pg_database where datname = current_database()", &[])
        .await
        .unwrap()
        .get(0);
    client.batch_execute(&format!("create database rowhouse_scratch_{oid}_dead")).await.unwrap();
    assert_eq!(databases(&team).await, 1);
    team.write("20260101000000_a.sql", "create table public.a ();");
    team.write("20260101000000_a.down.sql", "drop table public.a;");
    assert_eq!(team.run(&["migrate", "roundtrip"]).code, 0);
    assert_eq!(databases(&team).await, 0);
}

#[tokio::test]
async fn login_that_may_not_create_databases_is_told_how_and_one_that_may_needs_no_more() {
    let team = Team::start().await;
    team.write("20260101000000_a.sql", "create table public.a (n int); select tenancy.protect('public.a');");
    team.write("20260101000000_a.down.sql", "drop table public.a;");
    let login = format!("{}_owner", team.db.name);
    team.sql(&format!("create role {login} login password 'test' in role rowhouse")).await;
    let run = || {
        let mut command = team.command(&["migrate", "roundtrip", "--json"]);
        command.env("DATABASE_URL", Cluster::shared().url(&login, &team.db.name));
        Run::of(command.output().unwrap())
    };
    let refused = run();
    assert!(
        refused.code == 2 && refused.err.contains(&format!("alter role \"{login}\" createdb")),
        "{refused:?}"
    );
    team.sql(&format!("alter role {login} createdb")).await;
    let held = run();
    assert_eq!((held.code, &held.document()["files"][0]["outcome"]), (0, &json!("same")), "{held:?}");
    assert_eq!(databases(&team).await, 0);
    team.sql(&format!("drop role {login}")).await;
}
