//! Bulk jobs.

use reqwest::StatusCode;
use rowhouse_module::Roles;
use rowhouse_testkit::until_true;
use serde_json::{Value, json};

use super::{Harness, refused, settings, with_passwords_alone};
use crate::program::{Folder, Run, on_database};
use crate::support::SignedIn;

const PATH: &str = "/bulk-jobs";
const NOBODY: &str = "0198d5a1-0000-7000-8000-000000000001";

impl Harness {
    /// An installation whose jobs wait for `step`.
    async fn without_worker() -> Self {
        Self::as_roles(with_passwords_alone(), Roles { api: true, worker: false }).await
    }

    async fn crew(&self) -> Vec<SignedIn> {
        let mut crew = Vec::new();
        for name in ["bea", "cid", "dan"] {
            crew.push(self.app.sign_up(&format!("{name}@example.com")).await);
        }
        crew
    }

    async fn begin_bulk(&self, who: &SignedIn, body: Value) -> String {
        let answer = self.post(who, PATH, body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    /// Its end, as a client sees it.
    async fn finished(&self, id: &str) -> Value {
        until_true(
            &self.client,
            &format!("(select state <> 'running' from operators.bulk_jobs where id = '{id}')"),
        )
        .await;
        self.get(&self.chief, &format!("{PATH}/{id}")).await.json()
    }

    async fn step(&self, id: &str) -> Value {
        self.value(&format!("select operators.do_batch('{id}', 100)")).await
    }

    async fn lines(&self, id: &str) -> Vec<Value> {
        let answer = self.get(&self.chief, &format!("{PATH}/{id}/results")).await;
        answer.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn counts(job: &Value) -> [i64; 4] {
    ["total", "succeeded", "skipped", "failed"].map(|name| job[name].as_i64().unwrap())
}

fn ids(users: &[SignedIn]) -> Vec<&str> {
    users.iter().map(|user| user.id.as_str()).collect()
}

#[tokio::test]
async fn second_factor_is_asked_for_to_begin_to_retry_and_for_results_but_not_to_cancel() {
    let harness = Harness::as_roles(settings(), Roles { api: true, worker: false }).await;
    let body = json!({ "action": "suspend", "users": [harness.customer.id], "reason": "test" });
    let needs = (StatusCode::FORBIDDEN, "insufficient_aal".to_owned());
    assert_eq!(refused(&harness.post(&harness.support, PATH, body.clone()).await), needs);
    harness.sql("update auth.sessions set aal = 'aal2'").await;
    let id = harness.begin_bulk(&harness.support, body).await;
    harness.sql("update auth.sessions set aal = 'aal1'").await;
    let [retry, cancel, results] = ["retry", "cancel", "results"].map(|rest| format!("{PATH}/{id}/{rest}"));
    assert_eq!(refused(&harness.post(&harness.support, &retry, json!({})).await), needs);
    assert_eq!(refused(&harness.get(&harness.support, &results).await), needs);
    assert_eq!(harness.entries("bulk_job_results_read").await, Vec::<Value>::new());
    let with_key = harness.app.get(&harness.app.service_key, &format!("/admin/v1{results}")).await;
    assert_eq!(with_key.status, StatusCode::OK, "{}", with_key.text);
    harness.sql("update auth.sessions set aal = 'aal2'").await;
    assert_eq!(harness.get(&harness.support, &results).await.status, StatusCode::OK);
    let entries = harness.entries("bulk_job_results_read").await;
    let told: Vec<_> = entries.iter().map(|entry| (&entry["target"], &entry["details"])).collect();
    let expected = json!({ "action": "suspend", "total": 1 });
    assert_eq!(told, [(&json!(id), &expected), (&json!(id), &expected)]);
    assert_eq!(entries[1]["actor"], json!(harness.support.id));
    harness.sql("update auth.sessions set aal = 'aal1'").await;
    assert_eq!(harness.post(&harness.support, &cancel, json!({})).await.status, StatusCode::OK);
}

#[tokio::test]
async fn many_are_suspended_with_an_outcome_for_each() {
    let harness = Harness::new().await;
    let crew = harness.crew().await;
    harness.sql(&format!("select operators.suspend('{}', 'before', 'test')", crew[2].id)).await;
    let mut users = ids(&crew);
    users.extend([NOBODY, &harness.support.id, &harness.chief.id, crew[0].id.as_str()]);
    let body = json!({ "action": "suspend", "users": users, "reason": "abuse" });
    let id = harness.begin_bulk(&harness.support, body).await;
    let job = harness.finished(&id).await;
    assert_eq!((&job["state"], counts(&job)), (&json!("done"), [6, 2, 1, 3]), "{job}");
    for user in &crew {
        assert!(!harness.everywhere(&user.token).await.contains(&200), "every session is dead");
    }
    assert_eq!(harness.everywhere(&harness.chief.token).await, [200, 200, 200]);
    let lines = harness.lines(&id).await;
    let states: Vec<_> = lines.iter().map(|line| line["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["done", "done", "skipped", "failed", "failed", "failed"]);
    let errors: Vec<_> = lines.iter().filter_map(|line| line["error"].as_str()).collect();
    let expected =
        ["there is no such user", "this is the account of who asked for it", "the user is an operator"];
    assert_eq!(errors, expected);
    let csv = harness.get(&harness.support, &format!("{PATH}/{id}/results?format=csv")).await;
    assert!(csv.header("content-type").starts_with("text/csv"));
    let second = csv.text.lines().nth(1).unwrap();
    assert_eq!(second, format!("1,{},bea@example.com,done,,", crew[0].id));
    let entries = harness.entries("user_suspended").await;
    let of_bea = entries.iter().filter(|entry| entry["target"] == json!(crew[0].id)).collect::<Vec<_>>();
    let organizations: Vec<_> = of_bea.iter().map(|entry| &entry["organization"]).collect();
    assert_eq!(organizations, [&json!(harness.organization_of(&crew[0]).await), &Value::Null]);
    assert_eq!(of_bea[0]["actor"], json!(harness.support.id), "who has asked for it, not the worker");
    let done = &harness.entries("bulk_job_done").await[0];
    assert_eq!(done["details"]["succeeded"], json!(2), "{done}");
}

#[tokio::test]
async fn dry_run_says_what_would_be_done_and_does_nothing() {
    let harness = Harness::new().await;
    let crew = harness.crew().await;
    let body = json!({ "action": "delete", "filter": { "q": "bea" }, "reason": "gone", "dry_run": true });
    let id = harness.begin_bulk(&harness.chief, body).await;
    let job = harness.finished(&id).await;
    assert_eq!((&job["dry_run"], counts(&job)), (&json!(true), [1, 1, 0, 0]), "{job}");
    assert_eq!(harness.lines(&id).await[0]["email"], "bea@example.com");
    assert_eq!(harness.everywhere(&crew[0].token).await, [200, 200, 200]);
    assert!(harness.entries("user_deleted").await.is_empty());
    let body = json!({ "action": "delete", "filter": { "q": "bea" }, "reason": "gone" });
    let id = harness.begin_bulk(&harness.chief, body).await;
    assert_eq!(counts(&harness.finished(&id).await), [1, 1, 0, 0]);
    let left = harness.value(&format!("select count(*) from auth.users where id = '{}'", crew[0].id)).await;
    assert_eq!(left, json!(0));
    let entries = harness.entries("user_deleted").await;
    let details: Vec<_> = entries.iter().map(|entry| &entry["details"]).collect();
    // The last one is identity's own.
    let expected = [&json!({ "sessions": 1 }), &json!({ "sessions": 1, "reason": "gone" })];
    assert_eq!((details.len(), &details[..2]), (3, &expected[..]));
}

#[tokio::test]
async fn batch_is_one_change_of_all_its_users() {
    let harness = Harness::without_worker().await;
    let crew = harness.crew().await;
    harness
        .sql(
            "create table public.told (users bigint);
             create function public.tell() returns trigger language plpgsql security definer as
               $$begin insert into public.told select count(*) from changed; return null; end$$;
             create trigger tell after update on auth.users referencing new table as changed
               for each statement execute function public.tell()",
        )
        .await;
    for action in ["suspend", "activate"] {
        let body = json!({ "action": action, "users": ids(&crew), "reason": "abuse" });
        let id = harness.begin_bulk(&harness.support, body).await;
        assert_eq!(harness.step(&id).await, json!(false));
        assert_eq!(counts(&harness.finished(&id).await), [3, 3, 0, 0]);
    }
    assert_eq!(harness.value("select jsonb_agg(users) from public.told").await, json!([3, 3]));
}

#[tokio::test]
async fn many_are_opened_again_as_each_would_be_alone() {
    let harness = Harness::new().await;
    let crew = harness.crew().await;
    for user in &crew[..2] {
        harness.sql(&format!("select operators.suspend('{}', 'before', 'test')", user.id)).await;
    }
    harness.sql(&format!("select operators.reactivate('{}', 'by mistake', 'test')", crew[0].id)).await;
    harness.sql(&format!("select operators.suspend('{}', 'before', 'test')", crew[0].id)).await;
    let mut users = ids(&crew);
    users.extend([NOBODY, &harness.support.id, &harness.chief.id]);
    let told = [&json!(null), &json!(null), &json!(null), &json!("there is no such user")];
    for (dry_run, still_closed) in [(true, 2), (false, 0)] {
        let body =
            json!({ "action": "activate", "users": users, "reason": "by mistake", "dry_run": dry_run });
        let id = harness.begin_bulk(&harness.support, body).await;
        assert_eq!(counts(&harness.finished(&id).await), [6, 2, 1, 3], "{:?}", harness.lines(&id).await);
        let lines = harness.lines(&id).await;
        let errors: Vec<_> = lines.iter().map(|line| &line["error"]).collect();
        assert_eq!(errors[..4], told, "{lines:?}");
        let closed =
            "select to_jsonb(count(*)) from auth.users u join operators.suspensions s on s.user_id = u.id
                      where u.banned_until = 'infinity'";
        assert_eq!(harness.value(closed).await, json!(still_closed));
    }
    let entries = harness.entries("user_reactivated").await;
    let (alone, together) = entries.split_at(2);
    assert_eq!(together.len(), 4, "{entries:?}");
    for (one, other) in alone.iter().zip(&together[..2]) {
        for field in ["target", "organization", "details"] {
            assert_eq!(one[field], other[field], "{field}");
        }
    }
}

#[tokio::test]
async fn deletion_leaves_no_organization_of_others_without_an_owner() {
    let harness = Harness::new().await;
    let crew = harness.crew().await;
    let organization = harness.organization_of(&crew[0]).await;
    let join = |user: &SignedIn, role: &str| {
        format!(
            "insert into tenancy.organization_members (organization_id, user_id, role) values ('{organization}', '{}', '{role}')",
            user.id
        )
    };
    harness.sql(&join(&crew[1], "owner")).await;
    harness.sql(&join(&crew[2], "member")).await;
    let body = json!({ "action": "delete", "users": ids(&crew[..2]), "reason": "gone" });
    let id = harness.begin_bulk(&harness.chief, body).await;
    assert_eq!(counts(&harness.finished(&id).await), [2, 1, 0, 1], "one of both owners stays");
    let refused = harness.lines(&id).await[1]["error"].as_str().unwrap().to_owned();
    assert!(
        refused.contains("last active owner") && refused.contains("make another member owner"),
        "{refused}"
    );
    let owners = format!(
        "select jsonb_agg(user_id) from tenancy.organization_members where organization_id = '{organization}' and role = 'owner'"
    );
    assert_eq!(harness.value(&owners).await, json!([crew[1].id]));
    let own =
        "select coalesce(jsonb_agg(o.name), '[]') from tenancy.organizations o where o.status = 'deleted'";
    assert_eq!(harness.value(own).await, json!([]), "that of the deleted one has an owner");
    // As the refusal says.
    harness.sql(&join(&harness.customer, "owner")).await;
    let retried = harness.post(&harness.chief, &format!("{PATH}/{id}/retry"), json!({})).await;
    assert_eq!(retried.status, StatusCode::OK, "{}", retried.text);
    assert_eq!(counts(&harness.finished(&id).await), [2, 2, 0, 0]);
    assert_eq!(harness.value(own).await, json!(["cid"]), "nobody else's goes with its owner");
}

#[tokio::test]
async fn who_may_not_begin_a_job_may_not_cancel_it_either() {
    let harness = Harness::without_worker().await;
    let crew = harness.crew().await;
    let body = json!({ "action": "delete", "users": ids(&crew), "reason": "gone" });
    let id = harness.begin_bulk(&harness.chief, body).await;
    for rest in ["cancel", "retry"] {
        let path = format!("{PATH}/{id}/{rest}");
        for who in [&harness.support, &harness.customer] {
            let answer = harness.post(who, &path, json!({})).await;
            assert_eq!(refused(&answer), (StatusCode::FORBIDDEN, "forbidden".to_owned()), "{rest}");
        }
    }
    let state = format!("select state from operators.bulk_jobs where id = '{id}'");
    assert_eq!(harness.value(&state).await, "running");
    let cancelled = harness.post(&harness.chief, &format!("{PATH}/{id}/cancel"), json!({})).await;
    assert_eq!(cancelled.json()["state"], "cancelled", "{}", cancelled.text);
}

#[tokio::test]
async fn failed_items_are_done_again_and_only_those() {
    let harness = Harness::new().await;
    let crew = harness.crew().await;
    harness
        .sql(&format!(
            "create function public.keep() returns trigger language plpgsql as $$begin raise exception 'not this one'; end$$;
             create trigger keep before update on auth.users for each row when (new.id = '{}') execute function public.keep()",
            crew[1].id
        ))
        .await;
    let body = json!({ "action": "suspend", "users": ids(&crew), "reason": "abuse" });
    let id = harness.begin_bulk(&harness.chief, body).await;
    assert_eq!(counts(&harness.finished(&id).await), [3, 2, 0, 1]);
    assert_eq!(harness.lines(&id).await[1]["error"], "not this one");
    assert_eq!(harness.everywhere(&crew[1].token).await, [200, 200, 200], "all of it, or nothing");
    harness.sql("drop trigger keep on auth.users").await;
    let retried = harness.post(&harness.chief, &format!("{PATH}/{id}/retry"), json!({})).await;
    assert_eq!(retried.status, StatusCode::OK, "{}", retried.text);
    assert_eq!(counts(&harness.finished(&id).await), [3, 3, 0, 0]);
    assert_eq!(harness.entries("user_suspended").await.len(), 6);
    let again = harness.post(&harness.chief, &format!("{PATH}/{id}/retry"), json!({})).await;
    assert_eq!(refused(&again), (StatusCode::CONFLICT, "wrong_state".to_owned()));
}

#[tokio::test]
async fn cancelled_job_does_no_more_until_it_is_taken_up_again() {
    let harness = Harness::without_worker().await;
    let crew = harness.crew().await;
    let body = json!({ "action": "suspend", "users": ids(&crew), "reason": "abuse" });
    let id = harness.begin_bulk(&harness.support, body).await;
    let cancel = format!("{PATH}/{id}/cancel");
    let cancelled = harness.post(&harness.support, &cancel, json!({})).await;
    assert_eq!(cancelled.json()["state"], "cancelled", "{}", cancelled.text);
    assert_eq!(harness.post(&harness.support, &cancel, json!({})).await.status, StatusCode::CONFLICT);
    assert_eq!(harness.step(&id).await, json!(false));
    assert_eq!(harness.everywhere(&crew[0].token).await, [200, 200, 200]);
    let retried = harness.post(&harness.support, &format!("{PATH}/{id}/retry"), json!({})).await;
    assert_eq!(retried.json()["state"], "running", "{}", retried.text);
    assert_eq!(harness.step(&id).await, json!(false), "one batch is enough");
    assert_eq!(counts(&harness.finished(&id).await), [3, 3, 0, 0]);
}

#[tokio::test]
async fn job_ends_with_the_role_of_who_asked_for_it() {
    let harness = Harness::without_worker().await;
    let crew = harness.crew().await;
    for action in ["delete", "invite"] {
        let body = match action {
            "invite" => json!({ "action": action, "emails": ["x@example.com"], "organization": NOBODY }),
            _ => json!({ "action": action, "users": ids(&crew), "reason": "gone" }),
        };
        let answer = harness.post(&harness.support, PATH, body).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "support: {action}");
    }
    let body = json!({ "action": "suspend", "users": ids(&crew), "reason": "abuse" });
    let id = harness.begin_bulk(&harness.support, body).await;
    harness.sql(&format!("delete from tenancy.operators where user_id = '{}'", harness.support.id)).await;
    assert_eq!(harness.step(&id).await, json!(false));
    assert_eq!(harness.finished(&id).await["state"], "cancelled");
    assert_eq!(harness.everywhere(&crew[0].token).await, [200, 200, 200]);
}

#[tokio::test]
async fn many_are_invited_and_each_refusal_is_told() {
    let harness = Harness::new().await;
    let organization = harness.organization_of(&harness.customer).await;
    let emails = ["New@example.com", "new@example.com", "no address", "ada@example.com", "other@example.com"];
    let body =
        json!({ "action": "invite", "emails": emails, "organization": organization, "role": "member" });
    let id = harness.begin_bulk(&harness.chief, body).await;
    let job = harness.finished(&id).await;
    assert_eq!(counts(&job), [4, 2, 0, 2], "{:?}", harness.lines(&id).await);
    let invited = "select jsonb_agg(jsonb_build_array(i.email, i.invited_by) order by i.email) from tenancy.invitations i";
    let chief = &harness.chief.id;
    let expected = json!([["new@example.com", chief], ["other@example.com", chief]]);
    assert_eq!(harness.value(invited).await, expected);
    let body = json!({ "action": "invite", "emails": ["third@example.com"], "organization": organization, "dry_run": true });
    let id = harness.begin_bulk(&harness.chief, body).await;
    assert_eq!(counts(&harness.finished(&id).await), [1, 1, 0, 0]);
    assert_eq!(harness.value(invited).await, expected, "a dry run invites nobody");
}

#[tokio::test]
async fn commands_start_a_job_and_print_its_results() {
    let harness = Harness::new().await;
    let crew = harness.crew().await;
    let folder = Folder::with_settings("");
    let run = |args: &[&str]| Run::of(on_database(&harness.app.db, &folder, args).output().unwrap());
    let file = folder.path().join("ids.txt");
    std::fs::write(&file, ids(&crew).join("\n")).unwrap();
    let file = file.to_str().unwrap();
    let started = run(&["bulk", "start", "suspend", "--file", file, "--reason", "abuse", "--json"]);
    assert_eq!(started.code, 0, "{started:?}");
    let id = started.document()["id"].as_str().unwrap().to_owned();
    let job = harness.finished(&id).await;
    assert_eq!((counts(&job), &job["total"]), ([3, 3, 0, 0], &json!(3)));
    assert!(job["created_by"].as_str().unwrap().starts_with("operator:"), "{job}");
    let shown = run(&["bulk", "show", &id, "--wait", "--json"]);
    assert_eq!((shown.code, &shown.document()["succeeded"]), (0, &json!(3)), "{shown:?}");
    let results = run(&["bulk", "results", &id, "--format", "csv"]);
    assert_eq!(results.out.lines().count(), 4, "{results:?}");
    let listed = run(&["bulk", "list", "--json"]);
    assert_eq!(listed.document()["bulk_jobs"][0]["id"], json!(id), "{listed:?}");
    assert_eq!(run(&["bulk", "cancel", &id]).code, 1);
    assert_ne!(run(&["bulk", "start", "suspend", "--reason", "everybody"]).code, 0);
}

#[tokio::test]
async fn export_has_who_they_are_and_nothing_secret() {
    let harness = Harness::new().await;
    let crew = harness.crew().await;
    let body = json!({ "action": "export", "users": ids(&crew[..1]) });
    let answer = harness.app.post(&harness.app.service_key, "/admin/v1/bulk-jobs", body).await;
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    harness.finished(&id).await;
    let lines = harness.lines(&id).await;
    let result = &lines[0]["result"];
    assert_eq!(
        (&result["email"], &result["status"]),
        (&json!("bea@example.com"), &json!("active")),
        "{result}"
    );
    assert_eq!(result["organizations"][0]["role"], "owner");
    assert!(!result.to_string().contains("$"), "no hash of a password: {result}");
}
