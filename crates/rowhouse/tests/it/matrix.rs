//! Every route with every kind of caller, over HTTP: `tests/routes.txt` of each crate has the expected statuses.

use std::collections::BTreeMap;
use std::path::PathBuf;

use http::Method;
use serde_json::{Value, json};

use crate::support::{SignedIn, TestApp};

const CRATES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const PASSWORD: &str = "correct horse battery";

/// Callers by the names of the files' columns.
struct Callers {
    tokens: BTreeMap<&'static str, String>,
    owner: SignedIn,
    organization: String,
}

/// Roles in the tenant that a caller may have.
const MEMBERS: [&str; 4] = ["member", "manager", "admin", "clerk"];
const OPERATORS: [&str; 3] = ["super_admin", "support", "auditor"];

/// The tenant's owner is its organization's, `org_admin` is no member of the tenant, `neighbour` owns another tenant of the
/// organization, `suspended` is a member with no right to anything, and `stranger` owns another organization.
async fn callers(app: &TestApp) -> Callers {
    let owner = app.sign_up("owner@example.com").await;
    let client = app.db.superuser().await;
    let sql = "select organization_id::text from tenancy.tenants where id::text = $1";
    let organization: String = client.query_one(sql, &[&owner.tenant]).await.unwrap().get(0);
    let fill = |sql: &str| sql.replace("$ORG", &organization).replace("$TENANT", &owner.tenant);
    client.batch_execute(&fill(include_str!("matrix.sql"))).await.unwrap();
    let mut tokens = BTreeMap::from([("anon", app.anon_key.clone())]);
    for role in MEMBERS {
        let person = app.sign_up(&format!("{role}@example.com")).await;
        let sql = "insert into tenancy.memberships (tenant_id, user_id, role) select $1::text::uuid, $2::text::uuid, $3";
        client.execute(sql, &[&owner.tenant, &person.id, &role]).await.unwrap();
        let entered = app.post(&person.token, "/auth/v1/tenant", json!({ "tenant_id": owner.tenant })).await;
        tokens.insert(role, entered.json()["access_token"].as_str().unwrap().to_owned());
    }
    for (name, sql) in [
        ("org_admin", "insert into tenancy.organization_members (organization_id, user_id, role) values ('$ORG', '$USER', 'admin')"),
        ("neighbour", "insert into tenancy.memberships (tenant_id, user_id, role)
          select id, '$USER', 'owner' from tenancy.tenants where organization_id = '$ORG' and slug = 'neighbour'"),
        ("suspended", "insert into tenancy.memberships (tenant_id, user_id, role) values ('$TENANT', '$USER', 'admin');
          update tenancy.organization_members set status = 'suspended' where organization_id = '$ORG' and user_id = '$USER'"),
        ("stranger", ""),
    ] {
        let person = app.sign_up(&format!("{name}@example.com")).await;
        client.batch_execute(&fill(sql).replace("$USER", &person.id)).await.unwrap();
        tokens.insert(name, person.token.clone());
    }
    for role in OPERATORS {
        let person = app.sign_up(&format!("{role}@example.com")).await;
        let sql = "insert into tenancy.operators (user_id, role, reason) select $1::text::uuid, $2, 'test'";
        client.execute(sql, &[&person.id, &role]).await.unwrap();
        tokens.insert(role, person.token.clone());
    }
    tokens.insert("demoted", demoted(app).await);
    tokens.insert("service_key", app.service_key.clone());
    tokens.insert("owner", owner.token.clone());
    Callers { tokens, owner, organization }
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

/// What a change of life has done to the tree is taken back before the next caller.
const REOPEN: &str = "update tenancy.organizations set status = 'active' where not is_open;
    update tenancy.tenants set status = 'active' where not is_open";

/// The line of a route with the actual statuses of these callers.
async fn tried(app: &TestApp, callers: &Callers, columns: &[String], route: &str) -> String {
    let filled = route
        .replace("$TENANT", &callers.owner.tenant)
        .replace("$ORG", &callers.organization)
        .replace("$NOBODY", "0198d5a1-0000-7000-8000-000000000001");
    let mut parts = filled.splitn(3, ' ');
    let method: Method = parts.next().unwrap().parse().unwrap();
    let path = parts.next().unwrap().to_owned();
    let body: Option<Value> = parts.next().map(|body| serde_json::from_str(body).unwrap());
    let client = app.db.superuser().await;
    let mut line = format!("{route} |");
    for column in columns {
        let token = callers.tokens.get(column.as_str()).unwrap_or_else(|| panic!("no caller {column}"));
        let answer = app.call(token, method.clone(), &path, body.clone()).await;
        line.push_str(&format!(" {}", answer.status.as_u16()));
        if filled.starts_with("DELETE /admin") || filled.contains("/cancel") {
            client.batch_execute(REOPEN).await.unwrap();
        }
    }
    line
}

/// The columns that a file's first line names.
fn columns(text: &str) -> Vec<String> {
    let (_, names) = text.lines().next().unwrap().split_once("the status for: ").unwrap();
    names.split(' ').map(str::to_owned).collect()
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

/// A route of the matrix: method, path with `$TENANT`, `$ORG` and `$NOBODY`, and the body it is sent.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Option<Value>,
    /// The statuses by the callers' names.
    pub(crate) statuses: BTreeMap<String, u16>,
}

/// Every row of every crate.
pub(crate) fn all() -> Vec<Row> {
    let rows = files().into_iter().flat_map(|(_, text)| {
        let columns = columns(&text);
        let lines: Vec<String> =
            text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
        lines.into_iter().map(move |line| read(&line, &columns))
    });
    rows.collect()
}

fn read(line: &str, columns: &[String]) -> Row {
    let (route, statuses) = line.split_once(" | ").unwrap();
    let mut parts = route.splitn(3, ' ');
    let statuses = statuses.split(' ').map(|status| status.parse().unwrap());
    Row {
        method: parts.next().unwrap().parse().unwrap(),
        path: parts.next().unwrap().to_owned(),
        body: parts.next().map(|body| serde_json::from_str(body).unwrap()),
        statuses: columns.iter().cloned().zip(statuses).collect(),
    }
}

#[tokio::test]
async fn every_route_answers_every_caller_as_in_the_matrix() {
    let app = TestApp::start().await;
    let callers = callers(&app).await;
    let mut differing = String::new();
    // Signing out ends the callers' sessions: its row comes last of all.
    let is_last = |line: &str| line.contains("/logout");
    let of_file = |(_, text): (PathBuf, String)| {
        let columns = columns(&text);
        let lines = text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned);
        lines.map(move |line| (columns.clone(), line)).collect::<Vec<_>>()
    };
    let rows: Vec<(Vec<String>, String)> = files().into_iter().flat_map(of_file).collect();
    let (last, rows): (Vec<_>, Vec<_>) = rows.into_iter().partition(|(_, line)| is_last(line));
    for (columns, line) in rows.into_iter().chain(last) {
        let route = line.split(" |").next().unwrap_or_default();
        let came = tried(&app, &callers, &columns, route).await;
        if came != line {
            differing.push_str(&format!("expected {line}\ncame     {came}\n"));
        }
    }
    assert!(differing.is_empty(), "{differing}");
}

/// A crate whose routes decide by permissions tries all callers.
#[test]
fn matrix_of_the_tree_has_every_caller() {
    let all = ["anon", "owner", "org_admin", "neighbour", "suspended", "stranger", "demoted", "service_key"];
    let tenancy = files().into_iter().find(|(path, _)| path.to_string_lossy().contains("rowhouse-tenancy"));
    let columns = columns(&tenancy.unwrap().1);
    for caller in all.iter().chain(&MEMBERS).chain(&OPERATORS) {
        assert!(columns.contains(&(*caller).to_owned()), "{caller}");
    }
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
