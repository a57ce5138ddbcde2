//! `db diff`, `db pull` and `db reset`.

use serde_json::json;

use super::migrate::Team;
use crate::program::Folder;

#[tokio::test]
async fn diff_names_what_the_migrations_do_not_give() {
    let team = Team::start().await;
    team.sql("create table public.before (n int); alter table public.before owner to rowhouse_project").await;
    team.up().await;
    team.sql("create view public.by_hand as select 1 as one; drop index public.todos_done_idx").await;
    let found = team.run(&["db", "diff", "--json"]);
    let document = found.document();
    assert_eq!((found.code, &document["verdict"]), (1, &json!("fail")), "{found:?}");
    for (object, change) in [
        ("table public.before", "added"),
        ("view public.by_hand", "added"),
        ("index public.todos_done_idx", "removed"),
    ] {
        let named = json!({ "object": object, "change": change });
        assert!(document["differences"].as_array().unwrap().contains(&named), "{object}: {document}");
    }
    team.sql("drop view public.by_hand; drop table public.before; create index todos_done_idx on public.todos (done)").await;
    let same = team.run(&["db", "diff", "--json"]);
    assert_eq!((same.code, &same.document()["differences"]), (0, &json!([])), "{same:?}");
}

#[tokio::test]
async fn pull_writes_the_first_migration_from_what_is_there_and_records_it() {
    let team = Team::start().await;
    team.sql(
        "set role rowhouse_project; create table public.notes (id bigint primary key, body text not null);
         alter table public.notes enable row level security, force row level security;
         create policy own on public.notes for select to authenticated using (true);
         grant select on public.notes to authenticated;
         create function public.f() returns bigint language sql as 'select count(*) from public.notes'",
    )
    .await;
    let pulled = team.run(&["db", "pull", "--json"]);
    assert_eq!(pulled.code, 0, "{pulled:?}");
    let text = std::fs::read_to_string(pulled.document()["written"].as_str().unwrap()).unwrap();
    for part in
        ["CREATE TABLE public.notes", "CREATE POLICY own", "FORCE ROW LEVEL SECURITY", "TO authenticated"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("\\restrict") && !text.contains("OWNER TO"), "{text}");
    assert_eq!(team.run(&["migrate", "status", "--json"]).document()["pending"], 0, "it counts as applied");
    let diff = team.run(&["db", "diff", "--json"]);
    assert_eq!(
        (diff.code, &diff.document()["differences"]),
        (0, &json!([])),
        "it gives what is there: {diff:?}"
    );
    let again = team.run(&["db", "pull"]);
    assert!(again.code == 2 && again.err.contains("has migrations"), "{again:?}");
}

#[test]
fn reset_asks_and_is_for_a_database_of_its_own_in_development() {
    let folder = Folder::with_settings("environment = \"production\"");
    let production = folder.run(&["db", "reset", "--yes"]);
    assert!(production.code == 2 && production.err.contains("development"), "{production:?}");
    let folder = Folder::with_settings("environment = \"development\"");
    let data = folder.path().join(".rowhouse/pg/data");
    std::fs::create_dir_all(&data).unwrap();
    let asked = folder.run(&["db", "reset"]);
    assert!(asked.code == 2 && asked.err.contains("--yes") && data.exists(), "{asked:?}");
    let done = folder.run(&["db", "reset", "--yes"]);
    assert!(done.code == 0 && !data.exists() && done.out.contains("rowhouse up"), "{done:?}");
}
