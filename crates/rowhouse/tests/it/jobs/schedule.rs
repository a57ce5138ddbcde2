//! Schedules by command and admin API, and the built-in ones.

use std::collections::BTreeSet;

use reqwest::{Method, StatusCode};
use rowhouse_module::Roles;
use rowhouse_testkit::until_true;
use serde_json::{Value, json};
use tokio_postgres::Client;

use super::start;
use crate::program::Folder;
use crate::support::TestApp;

pub(super) const NIGHTLY: &str = "insert into jobs.kinds (name) values ('jobs.noop') on conflict do nothing; \
    insert into jobs.schedules (name, cron, timezone, kind, queue, missed, jitter, paused, built_in, next_at) \
    values ('nightly', '30 2 * * *', 'Europe/Berlin', 'jobs.noop', 'default', 'skip', '0', false, false, \
    '2096-05-04T00:30:00Z'), \
    ('resting', '@daily', 'UTC', 'jobs.noop', 'default', 'all', '0', true, false, '2096-05-04T00:30:00Z')";

async fn scene(roles: Roles) -> (TestApp, Client, Folder) {
    let app = start(roles).await;
    let client = app.db.superuser().await;
    client.batch_execute(NIGHTLY).await.unwrap();
    let folder = Folder::with_settings(&format!("[db]\nurl = \"{}\"\n", app.db.urls.control.expose()));
    (app, client, folder)
}

fn named<'a>(document: &'a Value, name: &str) -> &'a Value {
    let all = document["schedules"].as_array().unwrap();
    all.iter().find(|schedule| schedule["name"] == name).unwrap_or_else(|| panic!("no {name}: {document}"))
}

#[tokio::test]
async fn command_lists_schedules_and_runs_one_now() {
    let (app, client, folder) = scene(Roles { api: true, worker: false }).await;
    let listed = folder.run(&["schedule", "list", "--json"]).document();
    let nightly = named(&listed, "nightly");
    for (field, value) in [
        ("timezone", json!("Europe/Berlin")),
        ("missed", json!("skip")),
        ("next_at", json!("2096-05-04T00:30:00Z")),
        ("last_at", Value::Null),
        ("last_result", Value::Null),
    ] {
        assert_eq!(nightly[field], value, "{field}");
    }
    assert_eq!(named(&listed, "resting")["next_at"], Value::Null);
    let ran = folder.run(&["schedule", "run", "nightly", "--json"]);
    assert_eq!((ran.code, &ran.document()["schedule"]), (0, &json!("nightly")), "{ran:?}");
    let id = ran.document()["id"].clone();
    let over_http = app.get(&app.service_key, "/admin/v1/jobs/schedules").await.json();
    for listed in [folder.run(&["schedule", "list", "--json"]).document(), over_http] {
        let nightly = named(&listed, "nightly");
        assert_eq!((&nightly["last_job"], &nightly["last_result"]["state"]), (&id, &json!("ready")));
    }
    let text = folder.run(&["schedule", "list"]).out;
    for said in ["Europe/Berlin", "2096-05-04T00:30:00Z", "skip", "paused", "never", "ready"] {
        assert!(text.contains(said), "{said}: {text}");
    }
    let has_scheduled_time = "select payload ? 'scheduled_at' from jobs.ready";
    assert!(client.query_one(has_scheduled_time, &[]).await.unwrap().get::<_, bool>(0));
    let unknown = folder.run(&["schedule", "run", "weekly"]);
    assert_eq!((unknown.code, unknown.err.lines().count()), (2, 1), "{unknown:?}");
    assert!(unknown.err.contains("no schedule is called \"weekly\"; known: nightly, resting"), "{unknown:?}");
    assert_eq!(
        folder.run(&["schedule", "run", "weekly", "--json"]).document()["error"][0]
            .as_str()
            .map(str::is_empty),
        Some(false)
    );
}

#[tokio::test]
async fn admin_api_runs_a_schedule_and_refuses_unknown_ones() {
    let (app, client, _folder) = scene(Roles { api: true, worker: false }).await;
    let post = async |token: &str, path: &str| {
        let request = app.request(Method::POST, path).bearer_auth(token).header("x-request-id", "mine-3");
        app.send(request).await
    };
    let run = "/admin/v1/jobs/schedules/resting/run";
    let ran = post(&app.service_key, run).await;
    assert_eq!(ran.status, StatusCode::CREATED, "{}", ran.text);
    let job = "select id || ' ' || (options ->> 'request_id') from jobs.ready";
    let job: String = client.query_one(job, &[]).await.unwrap().get(0);
    assert_eq!(job, format!("{} mine-3", ran.json()["id"]));
    for (name, status) in [("weekly", 404), ("%00", 422), ("%FF", 400)] {
        let answer = post(&app.service_key, &format!("/admin/v1/jobs/schedules/{name}/run")).await;
        assert_eq!(answer.status.as_u16(), status, "{name}: {}", answer.text);
        assert_eq!(answer.headers["content-type"], "application/problem+json", "{name}");
    }
    let user = app.sign_up("a@example.com").await;
    for (token, status) in [(&app.anon_key, 401), (&user.token, 403)] {
        assert_eq!(post(token, run).await.status.as_u16(), status);
        assert_eq!(app.get(token, "/admin/v1/jobs/schedules").await.status.as_u16(), status);
    }
}

fn name_and_cron(schedule: &Value) -> (String, String) {
    let [name, cron] = ["name", "cron"].map(|key| schedule[key].as_str().unwrap().to_owned());
    (name, cron)
}

/// Name and times of each built-in schedule, as the page has them.
fn documented() -> BTreeSet<(String, String)> {
    let page = include_str!("../../../../../docs/jobs.md");
    let (_, table) = page.split_once("| schedule | times | what |\n|---|---|---|\n").unwrap();
    let rows = table.lines().take_while(|line| line.starts_with("| "));
    let cells = rows.map(|row| row.split('|').map(str::trim).collect::<Vec<_>>());
    cells.map(|cells| (cells[1].to_owned(), cells[2].trim_matches('`').to_owned())).collect()
}

#[tokio::test]
async fn built_in_schedules_fire_and_show_their_last_result() {
    let (_app, client, folder) = scene(Roles::ALL).await;
    // A chain of its own, sealed before the job looks for what is old.
    let old = "insert into audit.entries (organization_id, source, action, actor, target_kind, target_id, occurred_at) \
               select '00000000-0000-0000-0000-000000000001', 'auth', 'old', 'system', 'user', '', now() - interval '1 day' * d \
               from unnest(array[366, 364]) d";
    client.batch_execute(old).await.unwrap();
    until_true(&client, "not exists (select from audit.unsealed)").await;
    let over = "insert into auth.users (id, recovery_token, recovery_sent_at) \
                values ('00000000-0000-7000-8000-000000000001', 'left', now() - interval '2 days'); \
                insert into auth.sessions (id, user_id, not_after) select gen_random_uuid(), \
                '00000000-0000-7000-8000-000000000001', now() - interval '1 hour' * h from unnest(array[23, 25]) h; \
                insert into jobs.done (finished_at, partition, ids) values (now() - interval '1 year', 1, '{-1}'); \
                update jobs.schedules set next_at = now() where built_in";
    client.batch_execute(over).await.unwrap();
    until_true(&client, "(select count(*) from auth.sessions) = 1").await;
    until_true(&client, "not exists (select from auth.users where recovery_token <> '')").await;
    until_true(
        &client,
        "(select count(*) from auth.audit_log_entries where payload ->> 'action' = 'old') = 1",
    )
    .await;
    until_true(&client, "not exists (select from jobs.done where -1 = any (ids))").await;
    until_true(
        &client,
        "not exists (select from jobs.schedules where built_in and \
         jobs.result_of(last_job, last_at) ->> 'state' is distinct from 'done')",
    )
    .await;
    let listed = folder.run(&["schedule", "list", "--json"]).document();
    let own: Vec<&Value> =
        listed["schedules"].as_array().unwrap().iter().filter(|s| s["built_in"] == true).collect();
    assert!(own.len() >= 4, "{listed}");
    assert_eq!(documented(), own.iter().map(|own| name_and_cron(own)).collect());
    for schedule in own {
        assert_eq!(schedule["last_result"]["state"], "done", "{schedule}");
        assert!(
            schedule["next_at"].is_string() && schedule["last_result"]["result"].is_object(),
            "{schedule}"
        );
    }
}
