//! `migrate lint`, and what `migrate up` makes of it.

use serde_json::json;

use super::migrate::Team;
use crate::program::Folder;

const OPEN: &str = "create table public.notes (id bigint primary key, body text);";
const WAIVED: &str = "-- rowhouse: allow table-without-isolation: read by operators alone\n";

async fn recorded(team: &Team) -> Vec<(String, Option<String>)> {
    let client = team.db.superuser().await;
    let sql = "select name, lint from rowhouse.migrations where kind = 'project' and applied_by like 'postgres%' order by name";
    client.query(sql, &[]).await.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect()
}

#[test]
fn lint_needs_no_database_and_says_where_what_and_how_to_do_it_better() {
    let folder = Folder::with_settings("environment = \"development\"");
    std::fs::create_dir_all(folder.path().join("migrations")).unwrap();
    let path = folder.path().join("migrations/20260101000000_notes.sql");
    std::fs::write(&path, format!("-- Notes.\n\n{OPEN}")).unwrap();
    let found = folder.run(&["migrate", "lint"]);
    assert_eq!(found.code, 1, "{found:?}");
    for part in [
        "migrations/20260101000000_notes.sql:3:1: error table-without-isolation: public.notes",
        "remedy: Add `select tenancy.protect",
        "page: docs/migrations/lint.md#table-without-isolation",
        "fail: 1 files, 1 errors, 0 warnings, 0 waived",
    ] {
        assert!(found.out.contains(part), "{part}: {found:?}");
    }
    let document = folder.run(&["migrate", "lint", "--json"]).document();
    let finding = &document["findings"][0];
    assert_eq!(
        (&document["verdict"], &document["database"], &finding["rule"], &finding["line"], &finding["column"]),
        (&json!("fail"), &json!(false), &json!("table-without-isolation"), &json!(3), &json!(1))
    );
    std::fs::write(&path, format!("{WAIVED}{OPEN}")).unwrap();
    let waived = folder.run(&["migrate", "lint", "--json"]);
    assert_eq!(
        (waived.code, &waived.document()["waived"][0]["reason"]),
        (0, &json!("read by operators alone"))
    );
    let missing = folder.run(&["migrate", "lint", "no/such.sql"]);
    assert!(missing.code == 2 && missing.err.contains("no/such.sql"), "{missing:?}");
}

#[test]
fn folder_that_is_no_project_is_not_judged() {
    let folder = Folder::empty();
    let run = folder.run(&["migrate", "lint"]);
    assert!(run.code == 2 && run.err.contains("is no project"), "{run:?}");
}

#[tokio::test]
async fn dry_run_says_what_production_refuses_and_answers_no() {
    let team = Team::start().await;
    team.write("20251231000000_notes.sql", OPEN);
    let first = team.run(&["migrate", "up", "--dry-run", "--json"]).document();
    assert_eq!(first["lint"]["is_refused_in_production"], json!(false), "nothing is in use: {first}");
    team.up().await;
    team.write("20260103000000_more.sql", "create table public.more (id bigint primary key);");
    let refused = team.run(&["migrate", "up", "--dry-run"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    for part in ["table-without-isolation", "refuses these files in production", "would apply 1"] {
        assert!(refused.out.contains(part), "{part}: {refused:?}");
    }
    let document = team.run(&["migrate", "up", "--dry-run", "--json"]).document();
    assert_eq!(
        (&document["lint"]["verdict"], &document["lint"]["is_refused_in_production"]),
        (&json!("fail"), &json!(true))
    );
    assert_eq!(team.run(&["migrate", "up", "--dry-run", "--no-lint"]).code, 0);
}

#[tokio::test]
async fn named_file_is_judged_with_those_before_it_and_the_functions_of_the_database() {
    let team = Team::start().await;
    team.up().await;
    team.sql("create function public.f() returns setof bool language sql as 'select done from todos'").await;
    team.write(
        "20260103000000_a.sql",
        "-- rowhouse: phase contract\nalter table public.todos drop column done;",
    );
    let path = team.folder.path().join("migrations/20260103000000_a.sql");
    let found = team.run(&["migrate", "lint", path.to_str().unwrap(), "--json"]);
    let document = found.document();
    let rules: Vec<&str> =
        document["findings"].as_array().unwrap().iter().map(|f| f["rule"].as_str().unwrap()).collect();
    assert_eq!((found.code, document["files"].as_u64()), (1, Some(1)), "{found:?}");
    assert_eq!(rules, ["ban-drop-column", "column-still-referenced"]);
    assert_eq!(document["database"], true);
}

#[tokio::test]
async fn development_prints_findings_and_applies() {
    let team = Team::start().await;
    team.write("20260101000000_notes.sql", OPEN);
    let run = team.run(&["migrate", "up", "--no-wait", "--yes"]);
    assert!(run.code == 0 && run.err.contains("table-without-isolation"), "{run:?}");
    assert_eq!(recorded(&team).await, [("20260101000000_notes.sql".to_owned(), Some("failed".to_owned()))]);
}

#[tokio::test]
async fn production_refuses_errors_unless_they_are_waived_or_left_out() {
    let team = Team::start_in("production").await;
    team.write("20251231000000_first.sql", OPEN.replace("notes", "firsts").as_str());
    let first = team.run(&["migrate", "up", "--no-wait", "--yes"]);
    assert!(first.code == 0 && first.err.contains("table-without-isolation"), "nothing is in use: {first:?}");
    team.write("20260101000000_notes.sql", OPEN);
    let refused = team.run(&["migrate", "up", "--no-wait", "--yes"]);
    assert!(refused.code == 1 && refused.out.contains("table-without-isolation"), "{refused:?}");
    assert!(refused.out.contains("nothing was applied"), "{refused:?}");
    assert_eq!(recorded(&team).await.len(), 1);
    team.write("20260101000000_notes.sql", &format!("{WAIVED}{OPEN}"));
    let waived = team.run(&["migrate", "up", "--no-wait", "--yes"]);
    assert_eq!(waived.code, 0, "{waived:?}");
    team.write("20260102000000_more.sql", "create table public.more (id bigint primary key);");
    assert_eq!(team.run(&["migrate", "up", "--no-wait", "--yes"]).code, 1);
    let left_out = team.run(&["migrate", "up", "--no-wait", "--yes", "--no-lint"]);
    assert_eq!(left_out.code, 0, "{left_out:?}");
    let first = ("20251231000000_first.sql", "failed");
    let expected = [first, ("20260101000000_notes.sql", "passed"), ("20260102000000_more.sql", "skipped")];
    let expected: Vec<_> = expected.iter().map(|(n, l)| ((*n).to_owned(), Some((*l).to_owned()))).collect();
    assert_eq!(recorded(&team).await, expected);
}

#[tokio::test]
async fn dry_run_and_status_show_sql_locks_phase_and_who_applied_what() {
    let team = Team::start().await;
    team.up().await;
    team.write(
        "20260103000000_note.sql",
        "-- rowhouse: phase expand\n-- rowhouse: reversible no\n-- rowhouse: lock-budget 500ms\n\
         alter table public.todos add column note text;",
    );
    let shown = team.run(&["migrate", "up", "--dry-run"]);
    assert!(
        shown.out.contains("alter table public.todos add column note text")
            && shown.out.contains("AccessExclusiveLock on public.todos: reads and writes wait"),
        "{shown:?}"
    );
    let file = team.run(&["migrate", "up", "--dry-run", "--json"]).document()["files"][0].clone();
    assert_eq!(
        (&file["phase"], &file["reversible"], &file["lock_budget_millis"], &file["statements"][0]["line"]),
        (&json!("expand"), &json!(false), &json!(500), &json!(4))
    );
    let status = team.run(&["migrate", "status"]);
    assert!(
        status.out.contains("pending 20260103000000_note.sql  phase expand, no way back")
            && status.out.contains("by postgres"),
        "{status:?}"
    );
}

#[tokio::test]
async fn failed_smoke_query_marks_the_run_and_says_how_to_go_back() {
    let team = Team::start().await;
    team.up().await;
    team.write(
        "20260103000000_note.sql",
        "-- rowhouse: smoke select count(*) from todos\n-- rowhouse: smoke select exists (select from todos)\n\
         alter table public.todos add column note text;",
    );
    let run = team.run(&["migrate", "up", "--no-wait", "--yes"]);
    assert_eq!(run.code, 1, "{run:?}");
    for part in [
        "smoke query of 20260103000000_note.sql:2 failed: select exists (select from todos): the answer is not true",
        "nothing leads back: its migrations have no file for that",
    ] {
        assert!(run.out.contains(part), "{part}: {run:?}");
    }
    // A run that applies nothing asks them as well: a pipeline's second try does not pass.
    let again = team.run(&["migrate", "up", "--no-wait", "--yes"]);
    assert!(again.code == 1 && again.out.contains("this run has applied nothing"), "{again:?}");
    let status = team.run(&["migrate", "status"]);
    assert!(status.out.contains("smoke failed"), "{status:?}");
    team.sql("insert into public.todos values ('a')").await;
    team.write("20260104000000_more.sql", "alter table public.todos add column more text;");
    let passed = team.run(&["migrate", "up", "--no-wait", "--yes", "--json"]);
    let status = team.run(&["migrate", "status"]);
    assert!(!status.out.contains("smoke failed"), "{status:?}");
    let document = passed.document();
    assert_eq!((passed.code, document["smoke"].as_array().map(Vec::len)), (0, Some(2)), "{passed:?}");
    assert!(document["restore_point"]["lsn"].is_string() && document["backup"].is_null(), "{document}");
}
