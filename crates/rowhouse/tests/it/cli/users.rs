//! `users`: the user sync, by the real program on a database of its own.

use std::os::unix::process::ExitStatusExt;

use rowhouse_testkit::{LIMIT, TestDatabase, until};
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::program::{Folder, Run, on_database};

struct Site {
    db: TestDatabase,
    client: Client,
    folder: Folder,
}

impl Site {
    async fn new() -> Self {
        let db = TestDatabase::create().await;
        let client = db.superuser().await;
        Self { client, db, folder: Folder::with_settings("") }
    }

    /// Three users without a profile, beside one with it.
    async fn drifted() -> Self {
        let site = Self::new().await;
        site.sql(
            "insert into auth.users (id, email) select gen_random_uuid(), 'u' || n || '@example.com' from generate_series(1, 4) n;
             update tenancy.user_profiles set role = 'viewer', is_active = false where user_id = (select id from auth.users where email = 'u1@example.com');
             delete from tenancy.user_profiles where user_id in (select id from auth.users where email <> 'u1@example.com')",
        )
        .await;
        site
    }

    async fn sql(&self, sql: &str) {
        self.client.batch_execute(sql).await.unwrap();
    }

    async fn text(&self, sql: &str) -> String {
        self.client.query_one(sql, &[]).await.unwrap().get(0)
    }

    fn command(&self, args: &[&str]) -> std::process::Command {
        on_database(&self.db, &self.folder, args)
    }

    fn run(&self, args: &[&str]) -> Run {
        Run::of(self.command(args).output().unwrap())
    }
}

const PROFILES: &str =
    "select string_agg(u.email || ' ' || p.role || ' ' || p.is_active, ', ' order by u.email)
     from auth.users u join tenancy.user_profiles p on p.user_id = u.id";

#[tokio::test]
async fn missing_profiles_are_counted_then_made_once() {
    let site = Site::drifted().await;
    let status = site.run(&["users", "status", "--json"]);
    assert_eq!((status.code, status.err.as_str()), (1, ""), "{status:?}");
    assert!(status.out.contains("\"missing_profiles\": 3"), "as scripts match it: {status:?}");
    assert_eq!(
        status.document(),
        json!({
            "status": "warning", "total_auth_users": 4, "total_profiles": 1, "existing_profiles": 1,
            "missing_profiles": 3, "sync_percentage": 25.0, "trigger": "active",
        })
    );
    let verbose = site.run(&["users", "status", "--verbose", "--json"]);
    assert_eq!(verbose.document()["missing_user_ids"].as_array().map(Vec::len), Some(3));
    let shown = site.run(&["users", "status"]);
    assert!(shown.out.contains("Missing profiles  3\nSync percentage   25.00 %\n"), "{shown:?}");

    let dry = site.run(&["users", "sync", "--dry-run", "--json"]);
    let found = dry.document();
    assert_eq!((dry.code, &found["missing_profiles"], &found["created_profiles"]), (0, &json!(3), &json!(0)));
    assert_eq!(site.text(PROFILES).await, "u1@example.com viewer false", "nothing was changed");

    let first = site.run(&["users", "sync", "--json"]);
    let done = first.document();
    assert_eq!((first.code, &done["created_profiles"], &done["missing_profiles"]), (0, &json!(3), &json!(0)));
    assert_eq!((&done["existing_profiles"], &done["total_profiles"]), (&json!(1), &json!(4)));
    assert_eq!(done["created_user_ids"].as_array().map(Vec::len), Some(3));
    assert_eq!(
        site.text(PROFILES).await,
        "u1@example.com viewer false, u2@example.com member true, u3@example.com member true, u4@example.com member true"
    );
    let second = site.run(&["users", "sync", "--json"]);
    assert_eq!((second.code, &second.document()["created_profiles"]), (0, &json!(0)), "{second:?}");
    assert_eq!(site.run(&["users", "status"]).code, 0);
}

#[tokio::test]
async fn role_and_activity_are_of_new_profiles_and_a_wrong_role_is_refused() {
    let site = Site::drifted().await;
    let wrong = site.run(&["users", "sync", "--role", "user", "--json"]);
    assert_eq!(wrong.code, 2, "{wrong:?}");
    assert!(wrong.err.contains("member"), "names the roles: {wrong:?}");
    let id = site.text("select id::text from auth.users where email = 'u2@example.com'").await;
    let made = site.run(&["users", "create-profile", &id, "--role", "admin", "--json"]);
    assert_eq!((made.code, &made.document()["created_user_ids"]), (0, &json!([id])), "{made:?}");
    let again = site.run(&["users", "create-profile", "U2@example.com", "--json"]);
    assert_eq!((again.code, &again.document()["created_profiles"]), (0, &json!(0)), "{again:?}");
    let other = site.run(&["users", "create-profile", &id, "--role", "viewer", "--json"]);
    assert_eq!((other.code, &other.document()["role"]), (1, &json!("admin")), "{other:?}");
    let nobody = site.run(&["users", "create-profile", "00000000-0000-7000-8000-000000000001", "--json"]);
    assert_eq!((nobody.code, &nobody.document()["failed_creations"]), (1, &json!(1)), "{nobody:?}");
    assert_eq!(site.run(&["users", "sync", "--inactive", "--role", "manager"]).code, 0);
    assert_eq!(
        site.text(PROFILES).await,
        "u1@example.com viewer false, u2@example.com admin true, u3@example.com manager false, u4@example.com manager false"
    );
}

#[tokio::test]
async fn missing_trigger_is_named_and_repaired_and_the_proof_says_so() {
    let site = Site::drifted().await;
    let proof = site.run(&["users", "test", "--json"]);
    assert_eq!(
        (proof.code, proof.document()),
        (
            0,
            json!({ "proved": true, "trigger": "active", "profile_created": true, "role": "member",
                    "tenant_created": true, "rolled_back": true, "error": null })
        )
    );
    site.sql("drop trigger on_auth_user_created on auth.users").await;
    let status = site.run(&["users", "status", "--json"]).document();
    assert_eq!((&status["trigger"], &status["status"]), (&json!("missing"), &json!("degraded")));
    let failed = site.run(&["users", "test", "--json"]);
    assert_eq!((failed.code, &failed.document()["profile_created"]), (1, &json!(false)), "{failed:?}");
    assert_eq!(site.text("select count(*)::text from auth.users").await, "4", "nobody was left behind");
    let report = site.run(&["users", "report", "--json"]).document();
    assert_eq!((&report["last_sync_at"], &report["success_rate"]), (&Value::Null, &Value::Null));
    assert_eq!(report["recommendations"].as_array().map(Vec::len), Some(2), "{report}");

    let dry = site.run(&["users", "repair", "--dry-run", "--json"]).document();
    assert_eq!((&dry["trigger"], &dry["missing_profiles"]), (&json!("missing"), &json!(3)));
    let repaired = site.run(&["users", "repair", "--json"]);
    let done = repaired.document();
    assert_eq!(
        (repaired.code, &done["trigger"], &done["created_profiles"]),
        (0, &json!("active"), &json!(3))
    );
    assert_eq!(site.run(&["users", "test"]).code, 0);
    assert_eq!(site.run(&["users", "status"]).code, 0);
    let report = site.run(&["users", "report", "--json"]);
    let sums = report.document();
    assert_eq!(
        (report.code, &sums["created_profiles"], &sums["success_rate"], &sums["recommendations"]),
        (0, &json!(3), &json!(100.0), &json!([]))
    );
}

#[tokio::test]
async fn error_is_an_error_and_never_a_count() {
    let site = Site::drifted().await;
    site.sql("alter table tenancy.user_profiles rename to elsewhere").await;
    for args in [&["users", "status"][..], &["users", "sync"], &["users", "report"]] {
        let run = site.run(&[args, &["--json"]].concat());
        assert_eq!(run.code, 2, "{run:?}");
        assert!(run.document()["error"][0].as_str().unwrap().contains("user_profiles"), "{run:?}");
        assert!(!run.out.contains("missing_profiles"), "{run:?}");
    }
}

#[tokio::test]
async fn interrupt_ends_a_sync_with_code_130_and_the_next_one_continues() {
    let site = Site::drifted().await;
    let holder = site.db.superuser().await;
    holder.batch_execute("begin; lock table tenancy.user_profiles in share mode").await.unwrap();
    let mut command = site.command(&["users", "sync", "--json"]);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let child = command.spawn().unwrap();
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    let waits = "select exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')";
    let held = async || site.client.query_one(waits, &[]).await.unwrap().get(0);
    until("the sync waits", LIMIT, held).await;
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    // The signal is taken before the page goes on, since nothing else wakes the program.
    let taken = async || {
        std::fs::read_to_string(format!("/proc/{pid}/status"))
            .unwrap_or_default()
            .contains("ShdPnd:\t0000000000000000")
    };
    until("the signal is delivered", LIMIT, taken).await;
    holder.batch_execute("commit").await.unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.signal(), None);
    let run = Run::of(output);
    assert_eq!(run.code, 130, "{run:?}");
    let done = run.document();
    assert_eq!((&done["interrupted"], &done["created_profiles"]), (&json!(true), &json!(3)), "{done}");
    assert_eq!(site.run(&["users", "sync"]).code, 0);
}
