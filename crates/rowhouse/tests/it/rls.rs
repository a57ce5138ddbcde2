//! `rowhouse rls audit` and `rls prove`: exit codes, documents, what the settings accept, and what `doctor` says.

use rowhouse_testkit::{Cluster, TestDatabase};
use serde_json::{Value, json};

use crate::program::{Folder, Run, on_database};

const OPEN: &str =
    "create table public.\"Open\" (id uuid primary key); grant select on public.\"Open\" to anon";

fn audit(db: &TestDatabase, folder: &Folder, args: &[&str]) -> Run {
    let args = [&["rls", "audit"], args].concat();
    Run::of(on_database(db, folder, &args).output().unwrap())
}

#[tokio::test]
async fn clean_database_passes_and_an_open_table_fails_with_its_fix() {
    let db = TestDatabase::create().await;
    let folder = Folder::with_settings("");
    let clean = audit(&db, &folder, &["--json"]);
    assert_eq!((clean.code, &clean.document()["verdict"]), (0, &json!("pass")), "{clean:?}");
    assert_eq!(clean.document()["findings"], json!([]));
    db.migrate(OPEN).await;
    let open = audit(&db, &folder, &["--json"]);
    let document = open.document();
    assert_eq!((open.code, &document["verdict"]), (1, &json!("fail")), "{open:?}");
    let finding = json!({
        "id": "coverage.rls_disabled", "severity": "error", "title": "Table without row-level security",
        "relation": "public.\"Open\"", "object": null, "detail": "anon may select",
        "fix": "select tenancy.protect('public.\"Open\"');",
    });
    assert_eq!(document["findings"], json!([finding]));
    assert_eq!(document["counts"], json!({ "error": 1, "warning": 0, "info": 0 }));
    let shown = audit(&db, &folder, &[]);
    assert!(shown.code == 1 && shown.out.contains("fix: select tenancy.protect"), "{shown:?}");
    assert!(shown.out.contains("1 error, 0 warnings, 0 notes"), "{shown:?}");
    let elsewhere = audit(&db, &folder, &["--schema", "jobs", "--json"]);
    assert_eq!((elsewhere.code, &elsewhere.document()["coverage"]["schemas"]), (0, &json!(["jobs"])));
}

#[tokio::test]
async fn warnings_alone_pass() {
    let db = TestDatabase::create().await;
    db.migrate("create table public.heap (n int)").await;
    let run = audit(&db, &Folder::with_settings(""), &["--json"]);
    let document = run.document();
    assert_eq!((run.code, &document["verdict"]), (0, &json!("pass")), "{run:?}");
    assert_eq!(document["counts"], json!({ "error": 0, "warning": 2, "info": 0 }));
}

#[tokio::test]
async fn waiver_with_a_reason_is_kept_apart_and_one_without_is_refused() {
    let db = TestDatabase::create().await;
    db.migrate(OPEN).await;
    let entry = |reason: &str| {
        format!("[rls.waive.open]\ncheck = \"coverage.rls_disabled\"\nrelation = 'public.\"Open\"'\n{reason}")
    };
    let stale =
        "\n[rls.waive.stale]\ncheck = \"oracle.unique_key\"\nrelation = \"public.gone\"\nreason = \"none\"";
    let folder = Folder::with_settings(&(entry("reason = \"published anyway\"") + stale));
    let run = audit(&db, &folder, &["--json"]);
    let document = run.document();
    assert_eq!((run.code, &document["findings"]), (0, &json!([])), "{run:?}");
    let waived = &document["waived"][0];
    assert_eq!(
        [&waived["id"], &waived["reason"]],
        [&json!("coverage.rls_disabled"), &json!("published anyway")]
    );
    assert_eq!(document["unused_waivers"], json!(["stale"]));
    for reason in ["", "reason = \" \""] {
        let run = audit(&db, &Folder::with_settings(&entry(reason)), &[]);
        assert!(run.code == 2 && run.err.contains("rls.waive.open.reason"), "{run:?}");
    }
    let unknown = Folder::with_settings(&entry("reason = \"x\"").replace("rls_disabled", "nonsense"));
    let run = audit(&db, &unknown, &[]);
    assert!(run.code == 2 && run.err.contains("rls.waive.open.check"), "{run:?}");
}

#[tokio::test]
async fn what_cannot_be_audited_is_exit_code_2() {
    let db = TestDatabase::create().await;
    let folder = Folder::with_settings("");
    let run = audit(&db, &folder, &["--schema", "nonsense"]);
    assert!(run.code == 2 && run.err.contains("there is no schema \"nonsense\""), "{run:?}");
    let mut gone = on_database(&db, &folder, &["rls", "audit"]);
    let run =
        Run::of(gone.env("DATABASE_URL", "postgres://rowhouse:x@127.0.0.1:1/postgres").output().unwrap());
    assert_eq!((run.code, run.err.lines().count()), (2, 1), "{run:?}");
}

#[tokio::test]
async fn doctor_counts_the_errors() {
    let db = TestDatabase::create().await;
    let folder = Folder::with_settings("");
    let check = || -> Value {
        let run = Run::of(on_database(&db, &folder, &["doctor", "--json"]).output().unwrap());
        let checks = run.document()["checks"].as_array().unwrap().clone();
        let found = checks.into_iter().find(|check| check["name"] == "isolation");
        found.unwrap_or_else(|| panic!("{run:?}"))
    };
    assert_eq!(check()["ok"], true, "{}", check());
    db.migrate(OPEN).await;
    let open = check();
    let detail = open["detail"].as_str().unwrap();
    assert!(open["ok"] == false && detail.starts_with("1 error; run: rowhouse rls audit"), "{open}");
}

const NOTES: &str = "create table public.notes (id bigint generated always as identity primary key, body text not null);
    select tenancy.protect('public.notes'); grant select, insert, update, delete on public.notes to authenticated";

#[tokio::test]
async fn proof_passes_on_a_protected_table_and_fails_on_a_leak() {
    let db = TestDatabase::create().await;
    db.migrate(NOTES).await;
    let folder = Folder::with_settings("");
    let page = folder.path().join("isolation.html");
    let run = |args: &[&str]| {
        Run::of(on_database(&db, &folder, &[&["rls", "prove"], args].concat()).output().unwrap())
    };
    let clean = run(&["--json", "--html", page.to_str().unwrap()]);
    let document = clean.document();
    // Other tests have roles in the same cluster, which callers may become and the proof may not.
    let is_own = |one: &&Value| !one["relation"].as_str().unwrap().starts_with("role ");
    let unproven = document["unproven"].as_array().unwrap().iter().find(is_own);
    assert_eq!((&document["leaks"], unproven), (&json!([]), None), "{clean:?}");
    assert_eq!((&document["coverage"]["relations"], &document["coverage"]["proven"]), (&json!(1), &json!(1)));
    assert!(std::fs::read_to_string(page).unwrap().contains("Isolation: "));
    db.migrate("create policy wide on public.notes for select to authenticated using (true)").await;
    let open = run(&[]);
    assert!(open.code == 1 && open.out.contains("leak      public.notes: other tenant"), "{open:?}");
}

#[tokio::test]
async fn proof_over_http_runs_in_a_database_of_its_own_that_is_dropped() {
    let db = TestDatabase::create().await;
    db.migrate(NOTES).await;
    // A further role that callers may become; no account has it.
    let role = format!("create role staff_{0}; grant staff_{0} to authenticator", db.name);
    db.superuser().await.batch_execute(&role).await.unwrap();
    let folder = Folder::with_settings("");
    let migrations = folder.path().join("migrations");
    std::fs::create_dir_all(&migrations).unwrap();
    let file = migrations.join("20260101000000_notes.sql");
    std::fs::write(&file, NOTES).unwrap();
    let (page, elsewhere) = (folder.path().join("page.html"), folder.path().join("elsewhere.html"));
    std::fs::write(&elsewhere, "kept").unwrap();
    std::os::unix::fs::symlink(&elsewhere, &page).unwrap();
    let args = ["rls", "prove", "--http", "--matrix", "--json", "--html", page.to_str().unwrap()];
    let run = || {
        let mut command = on_database(&db, &folder, &args);
        // Who may create databases.
        command.env("DATABASE_URL", Cluster::shared().url("postgres", &db.name));
        command.env("ROWHOUSE_DB__AUTHENTICATOR_URL", db.urls.data.authenticator.expose());
        command.env("ROWHOUSE_DB__AUTHENTICATOR_SERVICE_URL", db.urls.data.service.expose());
        Run::of(command.output().unwrap())
    };
    let clean = run();
    let document = clean.document();
    assert_eq!(document["leaks"], json!([]), "{clean:?}");
    assert!(document["coverage"]["requests"].as_u64().unwrap() > 50, "{}", document["coverage"]);
    let unproven = document["unproven"].as_array().unwrap();
    let unproven: Vec<_> =
        unproven.iter().filter(|one| !one["relation"].as_str().unwrap().starts_with("role ")).collect();
    assert!(unproven.is_empty(), "{unproven:?}");
    let cells = |relation: &str| {
        let lines = document["matrix"].as_array().unwrap();
        let line = lines.iter().find(|line| line["relation"] == relation && line["actor"] == "other tenant");
        line.unwrap()["cells"].clone()
    };
    assert_eq!(
        (&cells("public.notes")["merge"], &cells("public.notes")["http_delete"]),
        (&json!("held"), &json!("held"))
    );
    assert_eq!(cells("(connections)"), json!({ "bleed": "held" }));
    // The link's target stays; its place has the page.
    assert_eq!(std::fs::read_to_string(&elsewhere).unwrap(), "kept");
    assert!(std::fs::read_to_string(&page).unwrap().contains("http_delete"));
    let left = "select count(*) from pg_database where datname like 'rowhouse\\_scratch\\_' || (select oid from pg_database where datname = current_database()) || '\\_%'";
    let client = db.superuser().await;
    assert_eq!(client.query_one(left, &[]).await.unwrap().get::<_, i64>(0), 0);
    let tenants = "select count(*) from tenancy.tenants";
    assert_eq!(client.query_one(tenants, &[]).await.unwrap().get::<_, i64>(0), 0);
    std::fs::write(&file, format!("{NOTES}; alter table public.notes add column more int")).unwrap();
    let other = run();
    assert!(other.code == 1 && other.out.contains("(copy)"), "{other:?}");
}

#[tokio::test]
async fn defects_are_not_put_beside_a_data_api() {
    let db = TestDatabase::create().await;
    db.migrate(NOTES).await;
    let _api = rowhouse_db::connect(&db.urls.data.authenticator).await.unwrap();
    let folder = Folder::with_settings("");
    let run = Run::of(on_database(&db, &folder, &["rls", "prove", "--mutate"]).output().unwrap());
    assert!(run.code == 2 && run.err.contains("1 connection of authenticator"), "{run:?}");
}

#[tokio::test]
async fn defects_are_not_put_into_production() {
    let db = TestDatabase::create().await;
    let folder = Folder::with_settings("environment = \"production\"\n");
    let run = Run::of(on_database(&db, &folder, &["rls", "prove", "--mutate"]).output().unwrap());
    assert!(run.code == 2 && run.err.contains("restored copy"), "{run:?}");
}
