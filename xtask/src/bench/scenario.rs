//! Scenarios: requests, each with its transaction.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::script::Script;
use super::server::{Server, User};

/// Todos that the benched tenant has.
const TODOS: usize = 20;
/// Projects of the account, and tasks of each project.
const PROJECTS: usize = 5;
const TASKS: usize = 3;
/// Rows of a bulk insert.
const BULK: usize = 1000;
/// Empties the table that imports fill.
pub(crate) const EMPTY: &str = "truncate public.entries";

/// One HTTP request.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) body: Option<String>,
    /// Whether its transaction may write.
    pub(crate) writes: bool,
}

impl Request {
    fn get(path: &str) -> Self {
        Self { method: "GET", path: format!("/rest/v1/{path}"), body: None, writes: false }
    }

    fn call(function: &str, arguments: &Value) -> Self {
        let path = format!("/rest/v1/rpc/{function}");
        Self { method: "POST", path, body: Some(arguments.to_string()), writes: false }
    }

    pub(crate) fn post(table: &str, rows: &Value) -> Self {
        Self { method: "POST", path: format!("/rest/v1/{table}"), body: Some(rows.to_string()), writes: true }
    }
}

/// A request and its transaction.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) request: Request,
    /// The ratio to pgbench below which the promise is broken.
    pub(crate) least_ratio: f64,
    pub(crate) script: Script,
    /// What the superuser runs before each measurement.
    pub(crate) reset: Option<&'static str>,
}

pub(crate) fn twenty_rows() -> Request {
    Request::get("todos?select=id,title,done")
}

/// Rows of an import: short titles, as many as asked for.
pub(crate) fn entries(count: usize) -> Vec<Value> {
    (1..=count).map(|n| json!({ "title": format!("entry number {n}"), "done": n % 3 == 0 })).collect()
}

/// Fills the tenant and renders every scenario that `wanted` names.
pub(crate) async fn all(
    server: &Server,
    user: &User,
    wanted: impl Fn(&str) -> bool,
) -> Result<Vec<Scenario>> {
    let todo = fill_todos(server, user).await?;
    let (account, project) = fill_account(server, user).await?;
    let embed = "select=id,name,projects(id,name,tasks(id,title,done))";
    let of_project = json!({ "project": project });
    let requests = [
        ("one row by key", Request::get(&format!("todos?select=id,title,done&id=eq.{todo}")), 1.0),
        ("20 rows", twenty_rows(), 1.0),
        ("1 row with 5 × 3 embedded", Request::get(&format!("accounts?{embed}&id=eq.{account}")), 1.0),
        ("call giving one row", Request::call("project_progress", &of_project), 1.0),
        ("call giving a set", Request::call("project_tasks", &of_project), 1.0),
        ("insert one row", Request::post("todos", &json!({ "title": "one more" })), 0.8),
        ("insert 1,000 rows", Request::post("entries", &entries(BULK).into()), 0.8),
    ];
    let wanted = requests.into_iter().filter(|(name, ..)| wanted(name));
    wanted
        .map(|(name, request, least_ratio)| {
            let script = Script::of_request(&request, server, user)?;
            let reset = request.path.ends_with("/entries").then_some(EMPTY);
            Ok(Scenario { name, request, least_ratio, script, reset })
        })
        .collect()
}

/// The todos of the tenant; the key of one.
pub(crate) async fn fill_todos(server: &Server, user: &User) -> Result<i64> {
    let rows = (0..TODOS).map(|n| json!({ "title": format!("todo number {n}") })).collect();
    Ok(insert(server, user, "todos", rows).await?[0])
}

/// One account with its projects and their tasks; its key and that of a project.
async fn fill_account(server: &Server, user: &User) -> Result<(i64, i64)> {
    let account = insert(server, user, "accounts", vec![json!({ "name": "the account" })]).await?[0];
    let projects =
        (0..PROJECTS).map(|n| json!({ "account_id": account, "name": format!("project number {n}") }));
    let projects = insert(server, user, "projects", projects.collect()).await?;
    let task = |project, n| json!({ "project_id": project, "title": format!("task number {n}") });
    let tasks = projects.iter().flat_map(|project| (0..TASKS).map(move |n| task(project, n)));
    insert(server, user, "tasks", tasks.collect()).await?;
    Ok((account, projects[0]))
}

/// Keys of the rows written; at least one.
async fn insert(server: &Server, user: &User, table: &str, rows: Vec<Value>) -> Result<Vec<i64>> {
    let written = server.send("POST", &format!("/rest/v1/{table}"), &user.token, &Value::Array(rows)).await?;
    let written = written.as_array().filter(|rows| !rows.is_empty()).context("rows")?;
    written.iter().map(|row| row["id"].as_i64().context("an id")).collect()
}
