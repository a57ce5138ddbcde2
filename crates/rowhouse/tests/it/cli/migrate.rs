//! `migrate new`, `down` and `verify`.

use std::process::Command;

use rowhouse_testkit::{Cluster, TestDatabase};
use serde_json::json;

use crate::program::{Folder, Run, on_database};

pub(super) struct Team {
    pub(super) db: TestDatabase,
    pub(super) folder: Folder,
}

impl Team {
    pub(super) async fn start() -> Self {
        Self::start_in("development").await
    }

    pub(super) async fn start_in(environment: &str) -> Self {
        let settings = format!("environment = \"{environment}\"");
        Self { db: TestDatabase::create().await, folder: Folder::with_settings(&settings) }
    }

    pub(super) fn run(&self, args: &[&str]) -> Run {
        Run::of(self.command(args).output().unwrap())
    }

    pub(super) fn command(&self, args: &[&str]) -> Command {
        let mut command = on_database(&self.db, &self.folder, args);
        let data = &self.db.urls.data;
        command.env("DATABASE_URL", Cluster::shared().url("postgres", &self.db.name));
        command.env("ROWHOUSE_DB__AUTHENTICATOR_URL", data.authenticator.expose());
        command.env("ROWHOUSE_DB__AUTHENTICATOR_SERVICE_URL", data.service.expose());
        command
    }

    pub(super) fn write(&self, name: &str, sql: &str) {
        let folder = self.folder.path().join("migrations");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(name), sql).unwrap();
    }

    pub(super) async fn up(&self) {
        self.write("20260101000000_todos.sql", "create table public.todos (title text);");
        self.write("20260101000000_todos.down.sql", "drop table public.todos;");
        self.write(
            "20260102000000_done.sql",
            "-- rowhouse: verify not exists (select from todos where done is null)\n\
             alter table public.todos add column done bool; create index todos_done_idx on public.todos (done);",
        );
        self.write("20260102000000_done.down.sql", "alter table public.todos drop column done;");
        let run = self.run(&["migrate", "up", "--no-wait", "--yes"]);
        assert_eq!(run.code, 0, "{run:?}");
    }

    pub(super) async fn sql(&self, sql: &str) {
        self.db.superuser().await.batch_execute(sql).await.unwrap();
    }
}

#[tokio::test]
async fn new_migration_is_written_with_its_way_back_behind_all_others() {
    let team = Team::start().await;
    team.write("29990101000000_far.sql", "");
    let made = team.run(&["migrate", "new", "add_due_date", "--json"]);
    assert_eq!(made.code, 0, "{made:?}");
    let written = made.document()["written"].clone();
    let path = written[0].as_str().unwrap();
    assert!(path.ends_with("/migrations/29990101000001_add_due_date.sql"), "{path}");
    assert!(written[1].as_str().unwrap().ends_with("29990101000001_add_due_date.down.sql"), "{written}");
    assert_eq!(team.run(&["migrate", "up", "--no-wait", "--yes"]).code, 0);
    let back = team.run(&["migrate", "down", "--yes"]);
    assert!(back.code == 2 && back.err.contains("no way back"), "an empty file is none: {back:?}");
    let odd = team.run(&["migrate", "new", "../escape"]);
    assert!(odd.code == 2 && odd.err.contains("letters, digits and underscores"), "{odd:?}");
}

#[tokio::test]
async fn migrations_are_taken_back_newest_first_and_only_with_consent() {
    let team = Team::start().await;
    team.up().await;
    let shown = team.run(&["migrate", "down", "--dry-run"]);
    assert!(shown.code == 0 && shown.out.contains("drop column done"), "{shown:?}");
    let refused = team.run(&["migrate", "down"]);
    assert!(refused.code == 2 && refused.err.contains("--yes"), "{refused:?}");
    assert_eq!(team.run(&["migrate", "status", "--json"]).document()["pending"], 0, "nothing was changed");

    let back = team.run(&["migrate", "down", "--yes", "--no-wait", "--json"]);
    assert_eq!(
        (back.code, &back.document()["taken_back"][0]["name"]),
        (0, &json!("20260102000000_done.down.sql"))
    );
    assert_eq!(team.run(&["migrate", "status", "--json"]).document()["pending"], 1);
    assert_eq!(team.run(&["migrate", "up", "--no-wait", "--yes"]).code, 0, "and applied again");
    assert_eq!(team.run(&["migrate", "verify"]).code, 0);

    let unknown = team.run(&["migrate", "down", "--to", "20250101000000_never", "--yes"]);
    assert!(unknown.code == 2 && unknown.err.contains("is not applied"), "{unknown:?}");
    let all = team.run(&["migrate", "down", "--steps", "5", "--yes", "--no-wait"]);
    assert!(all.code == 0 && all.out.contains("2 taken back"), "{all:?}");
    team.sql("select 1 / (to_regclass('public.todos') is null)::int").await;
}

#[tokio::test]
async fn way_back_that_fails_leaves_all_as_it_was() {
    let team = Team::start().await;
    team.up().await;
    team.write(
        "20260102000000_done.down.sql",
        "alter table public.todos drop column done; select no_such_column;",
    );
    let failed = team.run(&["migrate", "down", "--yes"]);
    assert!(failed.code == 2 && failed.err.contains("no_such_column"), "{failed:?}");
    assert_eq!(team.run(&["migrate", "verify"]).code, 0, "the column is there and recorded");
    team.write("20260102000000_done.down.sql", "");
    let both = team.run(&["migrate", "down", "--steps", "2", "--yes"]);
    assert!(both.code == 2 && both.err.contains("20260102000000_done.down.sql"), "{both:?}");
    assert_eq!(team.run(&["migrate", "status", "--json"]).document()["pending"], 0);
}

#[tokio::test]
async fn verify_names_what_was_changed_beside_the_migrations_until_it_is_undone() {
    let team = Team::start().await;
    team.write("20260100000000_none.sql", "");
    let pending = team.run(&["migrate", "verify", "--json"]);
    assert_eq!((pending.code, &pending.document()["pending"][0]), (1, &json!("20260100000000_none.sql")));
    team.up().await;
    let clean = team.run(&["migrate", "verify", "--json"]);
    assert_eq!((clean.code, &clean.document()["verdict"]), (0, &json!("pass")), "{clean:?}");
    let edits = [
        ("alter table public.todos alter done set not null", "column public.todos.done", "changed"),
        ("create table public.\"By hand\" (n int)", "table public.\"By hand\"", "added"),
        ("drop index public.todos_done_idx", "index public.todos_done_idx", "removed"),
        ("grant select on public.todos to anon", "table public.todos", "changed"),
        ("alter table public.todos enable row level security", "table public.todos", "changed"),
    ];
    for (edit, object, change) in edits {
        team.sql(edit).await;
        let found = team.run(&["migrate", "verify", "--json"]);
        assert_eq!(found.code, 1, "{edit}");
        let named = json!({ "object": object, "change": change });
        assert!(found.document()["drift"].as_array().unwrap().contains(&named), "{edit}: {found:?}");
    }
    // A migration does not take over what was changed beside it.
    team.write("20260103000000_more.sql", "alter table public.todos add column note text;");
    assert_eq!(team.run(&["migrate", "up", "--no-wait", "--yes"]).code, 0);
    let found = team.run(&["migrate", "verify", "--json"]).document();
    let objects: Vec<&str> =
        found["drift"].as_array().unwrap().iter().map(|drift| drift["object"].as_str().unwrap()).collect();
    assert!(
        objects.contains(&"column public.todos.done") && !objects.contains(&"column public.todos.note"),
        "{objects:?}"
    );
}

#[tokio::test]
async fn verify_asks_the_conditions_and_takes_an_error_for_no() {
    let team = Team::start().await;
    team.up().await;
    team.sql("insert into public.todos values ('a', null)").await;
    let found = team.run(&["migrate", "verify", "--json"]);
    let condition = &found.document()["conditions"][0];
    assert_eq!((found.code, &condition["holds"], &condition["line"]), (1, &json!(false), &json!(1)));
    team.write("20260103000000_bad.sql", "-- rowhouse: verify no_such_column\nselect 1;");
    team.write("20260104000000_writes.sql", "-- rowhouse: verify (select public.wipe())\ncreate function public.wipe() returns bool language sql as 'delete from public.todos returning true';");
    assert_eq!(team.run(&["migrate", "up", "--no-wait", "--yes"]).code, 0);
    let found = team.run(&["migrate", "verify", "--json"]).document();
    for (at, word) in [(1, "no_such_column"), (2, "read-only")] {
        let condition = &found["conditions"][at];
        assert!(
            condition["holds"].is_null() && condition["error"].as_str().unwrap().contains(word),
            "{condition}"
        );
    }
}

#[tokio::test]
async fn functions_that_the_platform_confines_are_no_drift() {
    let team = Team::start().await;
    let file = team.folder.path().join("migrations/20260109000000_welcome.sql");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let sql =
        "create function public.welcome() returns trigger language plpgsql as $$ begin return new; end $$;
        create trigger welcome after insert on auth.users for each row execute function public.welcome()";
    std::fs::write(&file, sql).unwrap();
    let up = team.run(&["migrate", "up", "--no-wait", "--yes"]);
    assert_eq!(up.code, 0, "{up:?}");
    let confined = "select prosecdef from pg_proc where oid = 'public.welcome()'::regprocedure";
    let client = team.db.superuser().await;
    assert!(client.query_one(confined, &[]).await.unwrap().get::<_, bool>(0), "the platform has changed it");
    let verified = team.run(&["migrate", "verify"]);
    assert_eq!(verified.code, 0, "{verified:?}");
}
