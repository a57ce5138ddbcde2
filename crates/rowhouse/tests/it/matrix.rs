//! Every route with every kind of caller, over HTTP: `tests/routes.txt` of each crate has the expected statuses.

use std::path::PathBuf;

use http::Method;
use serde_json::{Value, json};

use crate::support::TestApp;

const CRATES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const PASSWORD: &str = "correct horse battery";

/// Tokens of the callers, in the order of the file's columns.
struct Callers {
    tokens: Vec<String>,
    tenant: String,
    organization: String,
}

async fn callers(app: &TestApp) -> Callers {
    let owner = app.sign_up("owner@example.com").await;
    let client = app.db.superuser().await;
    let mut tokens = vec![app.anon_key.clone()];
    for role in ["member", "admin"] {
        let person = app.sign_up(&format!("{role}@example.com")).await;
        let sql = "insert into tenancy.memberships (tenant_id, user_id, role) select $1::text::uuid, $2::text::uuid, $3";
        client.execute(sql, &[&owner.tenant.to_string(), &person.id.to_string(), &role]).await.unwrap();
        let entered = app.post(&person.token, "/auth/v1/tenant", json!({ "tenant_id": owner.tenant })).await;
        tokens.push(entered.json()["access_token"].as_str().unwrap().to_owned());
    }
    tokens.push(owner.token.clone());
    tokens.push(app.sign_up("stranger@example.com").await.token.clone());
    tokens.push(demoted(app).await);
    tokens.push(app.service_key.clone());
    let of = "select organization_id::text from tenancy.tenants where id = $1::text::uuid";
    let organization = client.query_one(of, &[&owner.tenant]).await.unwrap().get(0);
    Callers { tokens, tenant: owner.tenant.clone(), organization }
}

/// The token of a user who was of role service_role when it was signed.
async fn demoted(app: &TestApp) -> String {
    let user = json!({ "email": "op@example.com", "password": PASSWORD, "email_confirm": true, "role": "service_role" });
    let made = app.post(&app.service_key, "/auth/v1/admin/users", user).await.json();
    let login = json!({ "email": "op@example.com", "password": PASSWORD });
    let session = app.post(&app.anon_key, "/auth/v1/token?grant_type=password", login).await.json();
    let path = format!("/auth/v1/admin/users/{}", made["id"].as_str().unwrap());
    let body = json!({ "role": "authenticated" });
    assert!(app.call(&app.service_key, Method::PUT, &path, Some(body)).await.status.is_success());
    session["access_token"].as_str().unwrap().to_owned()
}

/// The line of a route with the actual statuses.
async fn tried(app: &TestApp, callers: &Callers, route: &str) -> String {
    let filled = route
        .replace("$TENANT", &callers.tenant)
        .replace("$ORG", &callers.organization)
        .replace("$NOBODY", "0198d5a1-0000-7000-8000-000000000001");
    let mut parts = filled.splitn(3, ' ');
    let method: Method = parts.next().unwrap().parse().unwrap();
    let path = parts.next().unwrap().to_owned();
    let body: Option<Value> = parts.next().map(|body| serde_json::from_str(body).unwrap());
    let mut line = format!("{route} |");
    for token in &callers.tokens {
        let answer = app.call(token, method.clone(), &path, body.clone()).await;
        line.push_str(&format!(" {}", answer.status.as_u16()));
    }
    line
}

/// The files of all crates, with their content.
fn files() -> Vec<(PathBuf, String)> {
    let crates = std::fs::read_dir(CRATES).unwrap().map(|folder| folder.unwrap().path());
    let files = crates.map(|folder| folder.join("tests/routes.txt")).filter(|file| file.exists());
    let mut files: Vec<_> =
        files.map(|file| (file.clone(), std::fs::read_to_string(file).unwrap())).collect();
    files.sort();
    files
}

#[tokio::test]
async fn every_route_answers_every_caller_as_in_the_matrix() {
    let app = TestApp::start().await;
    let callers = callers(&app).await;
    let mut differing = String::new();
    // Signing out ends the callers' sessions: its row comes last of all.
    let is_last = |line: &&str| line.contains("/logout");
    let rows: Vec<String> = files()
        .into_iter()
        .flat_map(|(_, text)| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let rows = rows.iter().map(String::as_str).filter(|line| !line.starts_with('#'));
    let (last, rows): (Vec<&str>, Vec<&str>) = rows.partition(is_last);
    for line in rows.into_iter().chain(last) {
        let route = line.split(" |").next().unwrap_or_default();
        let came = tried(&app, &callers, route).await;
        if came != line {
            differing.push_str(&format!("expected {line}\ncame     {came}\n"));
        }
    }
    assert!(differing.is_empty(), "{differing}");
}

#[tokio::test]
async fn matrix_has_every_route_of_the_admin_document() {
    let app = TestApp::start().await;
    let document = app.get(&app.service_key, "/admin/v1/openapi.json").await.json();
    let matrix: String = files().into_iter().map(|(_, text)| text).collect();
    let routes: Vec<(&str, Vec<&str>)> = matrix
        .lines()
        .filter_map(|line| line.split(" |").next()?.split_once(' '))
        .map(|(method, rest)| {
            (method, rest.split([' ', '?']).next().unwrap_or_default().split('/').collect())
        })
        .collect();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let whole = format!("/admin/v1{}", path.strip_prefix("/admin/v1").unwrap_or(path));
        let wanted: Vec<&str> = whole.trim_end_matches('/').split('/').collect();
        let fits = |listed: &Vec<&str>| {
            listed.len() == wanted.len()
                && listed.iter().zip(&wanted).all(|(a, b)| a == b || b.starts_with('{'))
        };
        for method in methods
            .as_object()
            .unwrap()
            .keys()
            .filter(|name| ["get", "post", "put", "patch", "delete"].contains(&name.as_str()))
        {
            let method = method.to_uppercase();
            assert!(
                routes.iter().any(|(listed, path)| *listed == method && fits(path)),
                "{method} {whole} is not in the matrix"
            );
        }
    }
}
