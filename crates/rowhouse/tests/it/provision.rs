//! Provisioning of tenants over HTTP and on the command line.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use rowhouse_kernel::settings::Settings;
use rowhouse_module::Roles;
use rowhouse_provision::ProvisionSettings;
use rowhouse_testkit::{LIMIT, TestDatabase, until};
use serde_json::{Value, json};

use crate::program::{Folder, Run, on_database};
use crate::support::{PROJECT, SignedIn, TestApp, TestResponse, claims, settings};

const REFUSES: &str = "create function public.refuse_tenant(event jsonb) returns jsonb language sql as
    $$select case event ->> 'type' when 'provision' then '{\"error\": {\"message\": \"no\"}}'::jsonb else '{}' end$$";

async fn start(settings: Settings, roles: Roles) -> (TestApp, SignedIn) {
    let db = TestDatabase::create().await;
    db.migrate(PROJECT).await;
    db.migrate(REFUSES).await;
    let client = db.superuser().await;
    client.batch_execute("select auth.confine_hook('\"public\".\"refuse_tenant\"')").await.unwrap();
    let app = TestApp::start_as(db, settings, roles).await;
    let owner = app.sign_up("owner@example.com").await;
    (app, owner)
}

async fn create(app: &TestApp, owner: &SignedIn) -> TestResponse {
    let organization = claims(&owner.token)["org_id"].as_str().unwrap().to_owned();
    let path = format!("/admin/v1/organizations/{organization}/tenants");
    app.post(&owner.token, &path, json!({ "name": "Sales" })).await
}

fn path_of(made: &TestResponse) -> String {
    format!("/admin/v1/tenants/{}/provisioning", made.json()["id"].as_str().unwrap())
}

async fn ended(app: &TestApp, path: &str, status: &str) -> Value {
    let is_so = async || app.get(&app.service_key, path).await.json()["status"] == json!(status);
    until(format!("{path} {status}"), LIMIT, is_so).await;
    app.get(&app.service_key, path).await.json()
}

#[tokio::test]
async fn function_of_the_hook_is_not_for_clients_to_call() {
    let (app, owner) = start(settings(), Roles::ALL).await;
    let body = json!({ "event": { "type": "undo" } });
    for (token, status) in [(&app.anon_key, 401), (&owner.token, 403)] {
        let answer = app.post(token, "/rest/v1/rpc/refuse_tenant", body.clone()).await;
        assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
    }
}

#[tokio::test]
async fn tenant_made_over_the_api_is_provisioned() {
    let (app, owner) = start(settings(), Roles::ALL).await;
    let made = create(&app, &owner).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let path = path_of(&made);
    let run = ended(&app, &path, "done").await;
    assert_eq!((&run["steps_done"], &run["requested_by"]), (&json!(6), &json!(owner.id)));
    assert_eq!(app.get(&owner.token, &path).await.json(), run, "its owner sees it");
    let again = app.call(&owner.token, Method::POST, &path, None).await;
    assert_eq!((again.status, &again.json()["status"]), (StatusCode::OK, &json!("done")));
    let undo = app.call(&owner.token, Method::DELETE, &path, None).await;
    assert_eq!((undo.status.as_u16(), undo.code()), (409, "conflict".to_owned()));
    // Who signs up has a tenant at once; it can be provisioned when somebody asks for it.
    let own = format!("/admin/v1/tenants/{}/provisioning", owner.tenant);
    assert_eq!(app.get(&owner.token, &own).await.status, StatusCode::NOT_FOUND);
    let begun = app.call(&owner.token, Method::POST, &own, None).await;
    assert_eq!((begun.status, &begun.json()["is_new"]), (StatusCode::OK, &json!(false)), "{}", begun.text);
    ended(&app, &own, "done").await;
}

#[tokio::test]
async fn tenant_that_cannot_be_provisioned_is_gone_and_its_name_free() {
    let mut settings = settings();
    settings.update(|provisioning: &mut ProvisionSettings| {
        provisioning.hook = Some("pg-functions://postgres/public/refuse_tenant".to_owned());
        (provisioning.max_attempts, provisioning.backoff) = (2, Duration::from_millis(1));
    });
    let (app, owner) = start(settings, Roles::ALL).await;
    let made = create(&app, &owner).await;
    let run = ended(&app, &path_of(&made), "undone").await;
    assert_eq!(run["error"], json!("hook: the hook refuses: no"));
    let gone =
        app.get(&owner.token, &format!("/admin/v1/tenants/{}", run["tenant_id"].as_str().unwrap())).await;
    assert_eq!(gone.status, StatusCode::FORBIDDEN);
    assert_eq!(create(&app, &owner).await.status, StatusCode::CREATED, "the slug is free");
}

#[tokio::test]
async fn owner_rolls_back_what_is_not_done_and_others_may_not() {
    let (app, owner) = start(settings(), Roles { api: true, worker: false }).await;
    let path = path_of(&create(&app, &owner).await);
    let waiting = app.get(&owner.token, &path).await.json();
    assert_eq!((&waiting["status"], &waiting["steps_total"]), (&json!("pending"), &json!(6)));
    let stranger = app.sign_up("stranger@example.com").await;
    for method in [Method::GET, Method::POST, Method::DELETE] {
        let refused = app.call(&stranger.token, method, &path, None).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN);
    }
    for _ in 0..2 {
        let undo = app.call(&owner.token, Method::DELETE, &path, None).await;
        assert_eq!(
            (undo.status, &undo.json()["status"]),
            (StatusCode::OK, &json!("undoing")),
            "{}",
            undo.text
        );
    }
    let again = app.call(&owner.token, Method::POST, &path, None).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
}

/// A rollback removes the tenant only if it was made for the run, so a second run is never taken for the first.
#[tokio::test]
async fn second_run_is_not_of_a_new_tenant_and_its_rollback_keeps_it() {
    let (app, owner) = start(settings(), Roles::ALL).await;
    let made = create(&app, &owner).await;
    let path = path_of(&made);
    assert_eq!(ended(&app, &path, "done").await["is_new"], json!(true));
    let client = app.db.superuser().await;
    client.batch_execute("update provisioning.runs set status = 'undone'").await.unwrap();
    let again = app.call(&owner.token, Method::POST, &path, None).await;
    assert_eq!((again.status, &again.json()["is_new"]), (StatusCode::OK, &json!(false)), "{}", again.text);
}

#[tokio::test]
async fn commands_begin_and_show_what_requests_do() {
    let (app, owner) = start(settings(), Roles { api: true, worker: false }).await;
    let folder = Folder::with_settings("");
    let run = |args: &[&str]| Run::of(on_database(&app.db, &folder, args).output().unwrap());
    let none = run(&["tenants", "provisioning", &owner.tenant, "--json"]);
    assert_eq!(none.code, 1, "{none:?}");
    let begun = run(&["tenants", "provision", &owner.tenant, "--json"]);
    assert_eq!((begun.code, &begun.document()["status"]), (0, &json!("pending")), "{begun:?}");
    let shown = run(&["tenants", "provisioning", &owner.tenant, "--json"]).document();
    assert_eq!(shown, begun.document());
    let path = format!("/admin/v1/tenants/{}/provisioning", owner.tenant);
    assert_eq!(app.get(&owner.token, &path).await.json(), shown);
    let text = run(&["tenants", "provisioning", &owner.tenant]);
    assert!(text.out.contains("records") && text.out.contains("pending"), "{text:?}");
}
