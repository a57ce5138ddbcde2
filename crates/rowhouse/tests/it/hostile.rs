//! Hostile values in every place of every operation of the admin API that its document describes: parameters, headers, fields
//! of bodies. No answer is a server error, and each has a status, a type and a body that the document names.

mod sample;
mod value;

use std::collections::BTreeMap;

use reqwest::Method;
use rowhouse_module::Roles;
use rowhouse_testkit::{Contract, TestDatabase};
use serde_json::{Value, json};

use crate::support::{TestApp, settings};
use sample::Sampler;

/// A request, and what is hostile about it.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    why: String,
    method: Method,
    /// Below `/admin/v1`.
    path: String,
    query: String,
    headers: Vec<(&'static str, Vec<u8>)>,
    body: Option<Vec<u8>>,
}

/// One operation of the document.
struct Operation {
    method: Method,
    template: String,
    described: Value,
}

/// What deletes or closes comes last: afterwards there is less to be found.
fn operations(document: &Value) -> Vec<Operation> {
    let mut all = Vec::new();
    for (template, methods) in document["paths"].as_object().unwrap() {
        for (method, described) in methods.as_object().unwrap() {
            let method: Method = method.to_uppercase().parse().unwrap();
            all.push(Operation { method, template: template.clone(), described: described.clone() });
        }
    }
    let ends = ["suspend", "cancel", "reactivate", "restore"];
    all.sort_by_key(|operation| {
        let last = operation.template.rsplit('/').next().unwrap_or_default();
        (operation.method == Method::DELETE, ends.contains(&last))
    });
    all
}

/// An organization with a tenant and one of each thing that a path names.
async fn settle(app: &TestApp) -> BTreeMap<String, String> {
    let owner = app.sign_up("owner@example.com").await;
    let other = app.sign_up("other@example.com").await;
    let key = &app.service_key;
    let me = app.get(&owner.token, "/admin/v1/me").await.json();
    let organization = me["organizations"][0]["id"].as_str().unwrap().to_owned();
    let make = async |path: &str, body: Value| {
        let made = app.post(key, &format!("/admin/v1{path}"), body).await;
        assert!(made.status.is_success(), "{path}: {made:?}");
        let made = made.json();
        made["id"].as_str().map_or_else(|| made["id"].to_string(), str::to_owned)
    };
    let (of, tenant) = (format!("/organizations/{organization}"), format!("/tenants/{}", owner.tenant));
    make("/products", json!({ "slug": "shop", "name": "Shop" })).await;
    make(&format!("{of}/roles"), json!({ "name": "clerk", "permissions": ["tenant:view"] })).await;
    make("/flags", json!({ "name": "search", "kind": "boolean", "owner": "ann" })).await;
    let guest = json!({ "email": "guest@example.com", "role": "member" });
    let export = json!({ "action": "export", "users": [other.id] });
    let domain = json!({ "name": "shop.example", "proof": "dns_txt" });
    let ids = [
        ("organization", organization.clone()),
        ("tenant", owner.tenant.clone()),
        ("user", other.id),
        ("product", "shop".to_owned()),
        ("environment", "production".to_owned()),
        ("role", "clerk".to_owned()),
        ("flag", "search".to_owned()),
        ("subject", format!("tenant:{}", owner.tenant)),
        ("plan", "basic".to_owned()),
        ("name", "mail.sender".to_owned()),
        ("api_key", make(&format!("{of}/api-keys"), json!({ "name": "k", "scopes": ["tenant:view"] })).await),
        ("invitation", make(&format!("{of}/invitations"), guest).await),
        ("domain", make(&format!("{tenant}/domains"), domain).await),
        ("job", make("/bulk-jobs", export).await),
        ("id", make("/jobs", json!({ "kind": "audit.prune" })).await),
    ];
    ids.into_iter().map(|(name, id)| (name.to_owned(), id)).collect()
}

/// Why the answer is wrong.
async fn wrong(app: &TestApp, contract: &Contract, token: &str, attempt: &Attempt) -> Option<String> {
    let path = format!("/admin/v1{}{}", attempt.path, attempt.query);
    let mut request = app.request(attempt.method.clone(), &path).bearer_auth(token);
    for (name, value) in &attempt.headers {
        request = request.header(*name, value.as_slice());
    }
    if let Some(body) = &attempt.body {
        request = request.body(body.clone());
    }
    let answer = app.send(request).await;
    let (status, media) = (answer.status.as_u16(), answer.header("content-type"));
    let held = match status {
        500.. => Err(format!("a server error: {:.300}", answer.text)),
        _ => contract.check(attempt.method.as_str(), &attempt.path, status, media, &answer.json()),
    };
    held.err().map(|why| format!("{} {:.150}: {}: {why}", attempt.method, path, attempt.why))
}

/// With `part` of two, so that both run at the same time.
async fn attack(token_of: fn(&TestApp) -> &str, part: usize) {
    // With a worker, whose kinds of jobs can be enqueued.
    let app = TestApp::start_as(TestDatabase::create().await, settings(), Roles::ALL).await;
    let ids = settle(&app).await;
    let document = app.send(app.request(Method::GET, "/admin/v1/openapi.json")).await.json();
    let contract = Contract::new(document.clone());
    let sampler = Sampler { document: &document, ids: &ids };
    let (mut count, mut faults) = (0, Vec::new());
    for operation in operations(&document).into_iter().skip(part).step_by(2) {
        for attempt in sampler.attempts(&operation) {
            count += 1;
            faults.extend(wrong(&app, &contract, token_of(&app), &attempt).await);
        }
    }
    assert!(count > 500, "{count} requests");
    assert!(faults.is_empty(), "{} of {count}:\n{}", faults.len(), faults.join("\n"));
}

#[tokio::test]
async fn no_value_of_the_service_key_breaks_the_admin_api() {
    attack(|app| &app.service_key, 0).await;
}

#[tokio::test]
async fn no_value_of_the_service_key_breaks_the_rest_of_the_admin_api() {
    attack(|app| &app.service_key, 1).await;
}

/// The framework gives a number to a name that another crate has taken; a better one is up to its crate.
#[tokio::test]
async fn every_schema_of_the_admin_document_has_a_name_of_its_own() {
    let app = TestApp::start().await;
    let document = app.send(app.request(Method::GET, "/admin/v1/openapi.json")).await.json();
    let names = document["components"]["schemas"].as_object().unwrap().keys();
    let numbered: Vec<_> = names.filter(|name| name.ends_with(|last: char| last.is_ascii_digit())).collect();
    assert!(numbered.is_empty(), "rename them with #[schemars(rename = \"…\")]: {numbered:?}");
}
