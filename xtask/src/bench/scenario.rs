//! What is measured: a request, and the transaction it becomes as a pgbench script.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::server::{Server, User};

/// Rows the benched tenant has.
const ROWS: usize = 20;

/// One HTTP request.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) body: Option<String>,
}

/// A request and its transaction.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) request: Request,
    /// The ratio to pgbench below which the promise is broken.
    pub(crate) least_ratio: f64,
    /// The pgbench script; `:p1`… are its variables.
    pub(crate) script: String,
    /// Their values.
    pub(crate) variables: Vec<(String, String)>,
}

pub(crate) fn twenty_rows() -> Request {
    Request { method: "GET", path: "/rest/v1/todos?select=id,title,done".to_owned(), body: None }
}

/// Fills the tenant and renders every scenario.
pub(crate) async fn all(server: &Server, user: &User) -> Result<Vec<Scenario>> {
    let rows: Vec<Value> = (0..ROWS).map(|n| json!({ "title": format!("todo number {n}") })).collect();
    let written = server.send("POST", "/rest/v1/todos", &user.token, &Value::Array(rows)).await?;
    let id = written[0]["id"].as_i64().context("an id")?;
    let one = Request {
        method: "GET",
        path: format!("/rest/v1/todos?select=id,title,done&id=eq.{id}"),
        body: None,
    };
    let insert = Request {
        method: "POST",
        path: "/rest/v1/todos".to_owned(),
        body: Some(json!({ "title": "one more" }).to_string()),
    };
    Ok(vec![
        scenario("one row by key", one, 1.0, server, user)?,
        scenario("20 rows", twenty_rows(), 1.0, server, user)?,
        scenario("insert one row", insert, 0.8, server, user)?,
    ])
}

fn scenario(
    name: &'static str,
    request: Request,
    least_ratio: f64,
    server: &Server,
    user: &User,
) -> Result<Scenario> {
    let explained =
        server.explain(&format!("{} {}", request.method, request.path), request.body.as_deref())?;
    let mut script = Script::default();
    let names = explained["context"]["parameters"].as_array().context("context parameters")?;
    let context: Vec<String> =
        names.iter().map(|name| context_value(name.as_str().unwrap_or_default(), &request, user)).collect();
    script.add(explained["context"]["sql"].as_str().context("context sql")?, context);
    let params = explained["query"]["params"].as_array().context("query params")?;
    script.add(
        explained["query"]["sql"].as_str().context("query sql")?,
        params.iter().map(|value| value.as_str().unwrap_or_default().to_owned()).collect(),
    );
    let text = format!("begin;\n{}commit;\n", script.text);
    Ok(Scenario { name, request, least_ratio, script: text, variables: script.variables })
}

#[derive(Default)]
struct Script {
    text: String,
    variables: Vec<(String, String)>,
}

impl Script {
    /// Appends a statement, its `$n` turned into variables that pgbench binds as parameters in turn.
    fn add(&mut self, sql: &str, values: Vec<String>) {
        let base = self.variables.len();
        let mut sql = sql.replace('\n', " ");
        for n in (1..=values.len()).rev() {
            sql = sql.replace(&format!("${n}"), &format!(":p{}", base + n));
        }
        self.text.push_str(&format!("{sql};\n"));
        self.variables
            .extend(values.into_iter().enumerate().map(|(i, value)| (format!("p{}", base + i + 1), value)));
    }
}

/// What the server itself would send for this caller and request.
fn context_value(name: &str, request: &Request, user: &User) -> String {
    let claim = |name: &str| user.claims[name].as_str().unwrap_or_default().to_owned();
    match name {
        "search_path" => "\"public\", \"extensions\"".to_owned(),
        "role" => "authenticated".to_owned(),
        "request.jwt.claims" => user.claims_text.clone(),
        "request.method" => request.method.to_owned(),
        "request.path" => {
            request.path.split('?').next().unwrap_or_default().trim_start_matches("/rest/v1").to_owned()
        }
        "request.headers" => {
            json!({ "host": "127.0.0.1:54321", "authorization": format!("Bearer {}", user.token) })
                .to_string()
        }
        "request.cookies" => "{}".to_owned(),
        "app.current_organization_id" => claim("org_id"),
        "app.current_user_id" | "jwt.claims.sub" | "user" => claim("sub"),
        "transaction_read_only" => if request.method == "GET" { "on" } else { "off" }.to_owned(),
        "session" => claim("session_id"),
        "tenant" => claim("tenant_id"),
        _ => String::new(),
    }
}
