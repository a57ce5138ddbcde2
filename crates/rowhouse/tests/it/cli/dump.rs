//! Dumps that `migrate up` makes.

use rowhouse_testkit::Cluster;
use serde_json::json;

use super::migrate::Team;
use crate::program::Run;

#[tokio::test]
async fn migrations_without_a_log_to_go_back_by_have_a_dump_of_before() {
    let team = Team::start().await;
    team.up().await;
    team.write(
        "20260103000000_note.sql",
        "-- rowhouse: smoke select false\nalter table public.todos add column note text;",
    );
    let up = |method: &str, dump: &str| {
        let mut command = team.command(&["migrate", "up", "--no-wait", "--yes", "--json"]);
        command.env("ROWHOUSE_BACKUP__MIN_FREE_BYTES", "0").env("ROWHOUSE_BACKUP__BEFORE_MIGRATION", method);
        Run::of(command.env("ROWHOUSE_BACKUP__DUMP_URL", dump).output().unwrap())
    };
    // Where the dump fails, nothing is applied.
    let refused = up("on", "postgres://nobody@127.0.0.1:1/app");
    assert!(refused.code == 2 && refused.err.contains("backup.before_migration"), "{refused:?}");
    assert!(team.run(&["migrate", "status"]).out.contains("1 pending"));
    let run = up("on", &Cluster::shared().url("postgres", &team.db.name));
    let id = run.document()["backup"].as_str().unwrap().to_owned();
    assert_eq!(run.code, 1, "{run:?}");
    // Of a migration without a file that takes it back.
    let ways = run.document()["way_back"].clone();
    let way = format!("rowhouse backup restore {id} --into DIR --dir ");
    assert!(ways.as_array().is_some_and(|ways| ways.len() == 1), "{ways}");
    assert!(ways[0].as_str().is_some_and(|first| first.starts_with(&way)), "{ways}");
    let listed = team.run(&["backup", "list", "--json"]).document();
    let made = &listed["backups"][0];
    assert_eq!(
        (&made["id"], &made["kind"], &made["label"]),
        (&json!(id), &json!("logical"), &json!("before a migration"))
    );
    let text = team.run(&["migrate", "status"]);
    assert!(text.out.contains("smoke failed"), "{text:?}");
}
