//! `migrate trace`: what files lock and hold up, measured under load.

use serde_json::json;

use super::migrate::Team;
use crate::program::Run;

/// Enough rows that an index takes longer than a millisecond.
const ROWS: &str = "insert into public.todos (title) select 'todo ' || n from generate_series(1, 100000) n;";

async fn team() -> Team {
    let team = Team::start().await;
    team.up().await;
    std::fs::write(team.folder.path().join("rows.sql"), ROWS).unwrap();
    team
}

fn traced(team: &Team, sql: &str) -> (i32, serde_json::Value) {
    team.write("20260103000000_change.sql", sql);
    let data = team.folder.path().join("rows.sql");
    let run = team.run(&["migrate", "trace", "--data", data.to_str().unwrap(), "--json"]);
    assert!(run.code < 2, "{run:?}");
    (run.code, run.document()["files"][0].clone())
}

#[tokio::test]
async fn short_lock_within_the_budget_passes_and_is_shown() {
    let team = team().await;
    let (code, file) = traced(&team, "alter table public.todos add column note text;");
    assert_eq!((code, &file["beyond"]), (0, &json!([])), "{file}");
    let statement = &file["statements"][0];
    assert_eq!(statement["locks"], json!([{ "table": "public.todos", "mode": "AccessExclusiveLock" }]));
    assert!(
        statement["wal_bytes"].as_i64().unwrap() > 0 && file["tables"][0]["held_millis"].is_u64(),
        "{file}"
    );
}

#[tokio::test]
async fn rewrite_of_a_table_with_rows_is_beyond_every_budget() {
    let team = team().await;
    let (code, file) = traced(&team, "alter table public.todos alter column title type varchar(80);");
    assert_eq!((code, &file["statements"][0]["rewritten"]), (1, &json!(["public.todos"])), "{file}");
    let beyond = file["beyond"][0].as_str().unwrap();
    assert!(beyond.contains("line 1 writes public.todos anew"), "{beyond}");
}

#[tokio::test]
async fn lock_that_is_held_and_writers_that_wait_beyond_the_budget_are_named() {
    let team = team().await;
    let sql = "-- rowhouse: lock-budget 1ms\ncreate index todos_title_idx on public.todos (title);";
    let (code, file) = traced(&team, sql);
    let beyond: Vec<&str> = file["beyond"].as_array().unwrap().iter().map(|b| b.as_str().unwrap()).collect();
    assert_eq!(code, 1, "{file}");
    assert!(beyond.iter().any(|b| b.starts_with("ShareLock on public.todos was held for")), "{beyond:?}");
    assert!(beyond.iter().any(|b| b.starts_with("a writer of public.todos waited")), "{beyond:?}");
}

#[tokio::test]
async fn failing_statement_is_named_and_the_project_is_untouched() {
    let team = team().await;
    let (code, file) = traced(&team, "select 1;\nalter table public.todos add column done text;");
    assert_eq!(code, 1);
    assert!(file["error"].as_str().unwrap().starts_with("line 2: "), "{file}");
    assert_eq!(team.run(&["migrate", "status", "--json"]).document()["pending"], 1);
}

/// Beside `Team::up`: rows in the project's own table.
async fn team_with_rows(rows: u32) -> Team {
    let team = Team::start().await;
    team.up().await;
    team.sql(&format!("insert into public.todos (title) select 'todo ' || n from generate_series(1, {rows}) n; analyze public.todos")).await;
    team
}

/// Copying is tested in rowhouse-db; the login of this team is a superuser.
#[tokio::test]
async fn superuser_copies_no_rows_and_is_told_why() {
    let team = team_with_rows(2000).await;
    team.write("20260103000000_change.sql", "alter table public.todos alter column title type varchar(80);");
    let all = team.run(&["migrate", "trace", "--json"]);
    let document = all.document();
    let copied = &document["rows"][0];
    assert_eq!((&copied["rows"], &copied["live_rows"]), (&json!(0), &json!(2000)), "{document}");
    assert!(copied["error"].as_str().unwrap().contains("superuser"), "{document}");
}

#[tokio::test]
async fn backfill_is_traced_in_batches_with_its_tables() {
    let team = team_with_rows(500).await;
    team.write(
        "20260103000000_fill.sql",
        "-- rowhouse: repeat 1ms\nupdate public.todos set done = false where title in (select title from public.todos where done is null limit 100);",
    );
    let run = team.run(&["migrate", "trace", "--json"]);
    let file = run.document()["files"][0].clone();
    let statement = &file["statements"][0];
    assert_eq!((run.code, &statement["batches"]), (0, &json!(1)), "no row was copied: {file}");
    assert_eq!(
        (&file["tables"][0]["table"], &file["tables"][0]["lock"]),
        (&json!("public.todos"), &json!("RowExclusiveLock")),
        "{file}"
    );
}

#[tokio::test]
async fn locks_of_statements_outside_a_transaction_are_shown_within_the_budget_of_the_settings() {
    let team = team_with_rows(10).await;
    team.write(
        "20260103000000_change.sql",
        "-- rowhouse: no-transaction\ncreate index concurrently if not exists todos_title_idx on public.todos (title);\n\
         alter table public.todos add column if not exists note text;",
    );
    let mut command = team.command(&["migrate", "trace", "--json"]);
    let run = Run::of(command.env("ROWHOUSE_MIGRATE__LOCK_BUDGET", "90s").output().unwrap());
    let file = run.document()["files"][0].clone();
    assert_eq!((run.code, &file["budget_millis"]), (0, &json!(90_000)), "{file}");
    let lock = json!([{ "table": "public.todos", "mode": "AccessExclusiveLock" }]);
    assert_eq!(
        (&file["statements"][1]["locks"], &file["tables"][0]["lock"]),
        (&lock, &json!("AccessExclusiveLock"))
    );
}
