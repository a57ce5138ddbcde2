//! A project's life cycle with the real program: up, sign-up, rotation, commands, stop.

use std::path::Path;

use reqwest::{Client, StatusCode};
use rowhouse_testkit::{LIMIT, until};
use serde_json::{Value, json};

use crate::program::{Folder, Up, free_port, processes_in};

/// A running server's HTTP side.
struct Front<'a> {
    http: Client,
    up: &'a Up,
}

impl Front<'_> {
    async fn get(&self, token: &str, path: &str) -> (StatusCode, Value) {
        let answer =
            self.http.get(format!("{}{path}", self.up.text("url"))).bearer_auth(token).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap_or(Value::Null))
    }

    async fn post(&self, token: &str, path: &str, body: Value) -> (StatusCode, Value) {
        let request = self.http.post(format!("{}{path}", self.up.text("url"))).bearer_auth(token).json(&body);
        let answer = request.send().await.unwrap();
        (answer.status(), answer.json().await.unwrap_or(Value::Null))
    }

    /// Waits until the server has been notified of a rotation.
    async fn knows_key(&self, kid: &str) {
        let knows = async || {
            let keys = self.get("", "/.well-known/jwks.json").await.1["keys"].clone();
            keys.as_array().unwrap().iter().any(|key| key["kid"] == kid)
        };
        until(format!("the server learns of {kid}"), LIMIT, knows).await;
    }

    /// The server hears of a change by notice; this returns when a request is answered accordingly.
    async fn answers(&self, status: StatusCode, token: &str, path: &str) {
        let answers = async || self.get(token, path).await.0 == status;
        until(format!("{path} is answered {status}"), LIMIT, answers).await;
    }
}

#[tokio::test]
async fn project_life_cycle_works_by_commands() {
    let folder = Folder::todos();
    let mut up = Up::start(&folder, free_port());
    let front = Front { http: Client::new(), up: &up };
    let (status, session) = front
        .post(
            &up.text("anon_key"),
            "/auth/v1/signup",
            json!({ "email": "a@example.com", "password": "correct horse" }),
        )
        .await;
    assert_eq!(status, StatusCode::OK, "{session}");
    let token = session["access_token"].as_str().unwrap().to_owned();
    assert_eq!(
        front.post(&token, "/rest/v1/todos", json!({ "title": "first" })).await.0,
        StatusCode::CREATED
    );

    running_project_is_told(&folder, &up);
    keys_rotate_and_nobody_is_signed_out(&folder, &front, &token).await;
    fresh_keys_are_good(&folder, &front).await;
    tenant_gets_limits_and_loses_them(&folder, &front, &token).await;
    database_is_within_reach(&folder);
    trigger_that_may_run_at_commit_is_named(&folder);
    second_start_is_refused(&folder, &up);
    login_changes_itself(&folder);

    let data = up.text("pg_data_dir");
    assert!(!processes_in(&data).is_empty(), "the database works in its folder");
    let stopped = folder.run(&["stop", "--json"]);
    assert_eq!((stopped.code, stopped.document()["stopped"].clone()), (0, json!(true)), "{stopped:?}");
    assert_eq!(up.wait(), Some(0));
    assert_eq!(processes_in(&data), Vec::<i32>::new());
    assert!(!Path::new(&data).join("postmaster.pid").exists());
    assert_eq!(folder.run(&["status"]).code, 1);
    assert_eq!(folder.run(&["stop"]).code, 0, "stopping twice is no mistake");

    let mut again = Up::start(&folder, free_port());
    assert_eq!(folder.run(&["stop"]).code, 0);
    assert_eq!(again.wait(), Some(0));
}

/// What a function that a request calls can do to the login that runs it; the next start gives password and defaults back.
fn login_changes_itself(folder: &Folder) {
    let change = "set role authenticator; alter role authenticator password 'other'; \
        alter role authenticator set search_path = 'evil, pg_catalog'";
    let dir = folder.path().to_str().unwrap();
    let changed = crate::program::run(&["--dir", dir, "psql", "-c", change]);
    assert_eq!(changed.code, 0, "{changed:?}");
}

fn running_project_is_told(folder: &Folder, up: &Up) {
    let banner = up.log_until("Stop with Ctrl-C").join("\n");
    for command in ["psql", "stop"] {
        let hint = format!("rowhouse {command} --dir {}", folder.path().display());
        assert!(banner.contains(&hint), "{banner}");
    }
    assert_eq!(folder.run(&["status"]).code, 0);
    let status = folder.run(&["status", "--json"]);
    let document = status.document();
    assert_eq!(
        (status.code, &document["ready"], &document["url"], &document["pid"]),
        (0, &json!(true), &up.state["url"], &up.state["pid"]),
        "{status:?}"
    );
    let explained = folder.run(&["config", "explain", "--json"]);
    let rows = explained.document()["settings"].as_array().unwrap().clone();
    let used = |name: &str| rows.iter().find(|row| row["name"] == name).unwrap()["running"][0].clone();
    let port = json!({ "pid": up.state["pid"], "value": up.state["port"].to_string() });
    assert_eq!(used("server.port"), port, "{explained:?}");
    let autoconfirm = json!({ "pid": up.state["pid"], "value": "true" });
    assert_eq!(used("auth.mailer_autoconfirm"), autoconfirm, "development's default: {explained:?}");
    let doctor = folder.run(&["doctor", "--json"]);
    assert_eq!(doctor.code, 0, "{doctor:?}");
}

async fn keys_rotate_and_nobody_is_signed_out(folder: &Folder, front: &Front<'_>, token: &str) {
    for args in [&["keys", "rotate", "--json"][..], &["keys", "rotate", "--api", "--json"]] {
        let rotated = folder.run(args);
        assert_eq!(rotated.code, 0, "{rotated:?}");
        front.knows_key(rotated.document()["signing"].as_str().unwrap()).await;
        for bearer in [token, &front.up.text("service_role_key")] {
            let (status, todos) = front.get(bearer, "/rest/v1/todos?select=title&title=eq.first").await;
            assert_eq!((status, todos), (StatusCode::OK, json!([{ "title": "first" }])), "after {args:?}");
        }
    }
    let reseal = folder.run(&["keys", "reseal", "--dry-run", "--json"]);
    assert_eq!((reseal.code, &reseal.document()["resealed"]), (0, &json!(0)), "{reseal:?}");
    let listed = folder.run(&["keys", "list", "--json"]).document();
    assert!(listed["keys"].as_array().is_some_and(|keys| keys.len() >= 4), "{listed}");
}

async fn tenant_gets_limits_and_loses_them(folder: &Folder, front: &Front<'_>, token: &str) {
    let tenant = crate::support::claims(token)["tenant_id"].as_str().unwrap().to_owned();
    let limits = |args: &[&str]| folder.run(&[&["tenants", "limits", &*tenant, "--json"], args].concat());
    let document = |timeout: Value, rows: Value, cost: Value| json!({ "tenant_id": tenant, "statement_timeout_ms": timeout, "max_rows": rows, "max_cost": cost });
    let none = || document(Value::Null, Value::Null, Value::Null);
    assert_eq!(limits(&[]).document(), none());
    assert_eq!(limits(&["--max-rows", "3"]).document(), document(Value::Null, json!(3), Value::Null));
    let more = limits(&["--statement-timeout", "2s", "--max-cost", "1e5"]).document();
    assert_eq!(more, document(json!(2000), json!(3), json!(1e5)), "others stay");
    front.answers(StatusCode::UNPROCESSABLE_ENTITY, token, "/rest/v1/todos?limit=4").await;
    let narrowed = limits(&["--clear", "--max-rows", "7"]).document();
    assert_eq!(narrowed, document(Value::Null, json!(7), Value::Null));
    assert_eq!(limits(&["--clear"]).document(), none());
    front.answers(StatusCode::OK, token, "/rest/v1/todos?limit=8").await;
    for wrong in
        [["--max-rows", "0"], ["--max-cost", "-1"], ["--max-cost", "inf"], ["--statement-timeout", "0"]]
    {
        assert_eq!(limits(&wrong).code, 2, "{wrong:?}");
    }
    let nobody = folder.run(&["tenants", "limits", "00000000-0000-7000-8000-000000000001"]);
    assert_eq!((nobody.code, nobody.err.contains("no tenant")), (2, true), "{nobody:?}");
}

async fn fresh_keys_are_good(folder: &Folder, front: &Front<'_>) {
    let issue = |role: &str| folder.run(&["keys", "issue", "--role", role, "--expires-in-days", "1"]);
    let (service, anon) = (issue("service_role"), issue("anon"));
    assert_eq!((service.code, anon.code), (0, 0), "{service:?} {anon:?}");
    assert_eq!(front.get(service.out.trim(), "/rest/v1/todos").await.0, StatusCode::OK);
    let (status, refusal) = front.get(anon.out.trim(), "/rest/v1/todos").await;
    assert_eq!(
        (status, refusal["code"].as_str()),
        (StatusCode::UNAUTHORIZED, Some("42501")),
        "known, but without rights"
    );
}

fn trigger_that_may_run_at_commit_is_named(folder: &Folder) {
    let sql = "set role rowhouse_project; create function public.late() returns trigger language plpgsql as \
        'begin return null; end'; create constraint trigger late after insert on public.todos deferrable \
        for each row execute function public.late()";
    let made = crate::program::run(&[
        "--dir",
        folder.path().to_str().unwrap(),
        "psql",
        "-v",
        "ON_ERROR_STOP=1",
        "-c",
        sql,
    ]);
    assert_eq!(made.code, 0, "{made:?}");
    let notes = folder.run(&["doctor", "--json"]).document()["notes"].to_string();
    assert!(notes.contains("trigger late on public.todos") && notes.contains("public.late()"), "{notes}");
}

fn database_is_within_reach(folder: &Folder) {
    let migrations = folder.run(&["migrate", "status", "--json"]);
    assert_eq!((migrations.code, migrations.document()["pending"].clone()), (0, json!(0)), "{migrations:?}");
    assert_eq!(folder.run(&["migrate", "up"]).code, 0);
    let dir = folder.path().to_str().unwrap();
    let answer = crate::program::run(&[
        "--dir",
        dir,
        "psql",
        "-At",
        "-c",
        "select title from todos where title = 'first'",
    ]);
    assert_eq!((answer.code, answer.out.as_str()), (0, "first\n"), "{answer:?}");
    let who = "select current_user || ' ' || session_user";
    let project = crate::program::run(&["--dir", dir, "psql", "--as-project", "-At", "-c", who]);
    assert_eq!((project.code, project.out.as_str()), (0, "rowhouse_project rowhouse\n"), "{project:?}");
    let failed =
        crate::program::run(&["--dir", dir, "psql", "-v", "ON_ERROR_STOP=1", "-c", "select nonsense"]);
    assert_ne!(failed.code, 0, "psql's own exit code: {failed:?}");
}

fn second_start_is_refused(folder: &Folder, up: &Up) {
    let second = folder.run(&["up", "--port", &free_port().to_string()]);
    assert_eq!((second.code, second.err.lines().count()), (2, 1), "{second:?}");
    assert!(second.err.contains(&format!("pid {}", up.state["pid"])), "{second:?}");
    assert_eq!(folder.run(&["status"]).code, 0, "the first is unharmed");
}
