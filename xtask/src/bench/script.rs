//! A request's transaction as a pgbench script: context and query, the values as variables that pgbench binds.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::scenario::Request;
use super::server::{Server, User};

/// Statements and the values of their variables `:p1`…
#[derive(Debug, Default)]
pub(crate) struct Script {
    text: String,
    pub(crate) variables: Vec<(String, String)>,
}

impl Script {
    /// What the server runs for a request, as `rowhouse rest explain` shows it.
    pub(crate) fn of_request(request: &Request, server: &Server, user: &User) -> Result<Self> {
        let asked = format!("{} {}", request.method, request.path);
        let explained = server.explain(&asked, request.body.as_deref())?;
        let mut script = Self::default();
        script.open(&explained, request, user)?;
        let params = explained["query"]["params"].as_array().context("query params")?;
        script.add(
            explained["query"]["sql"].as_str().context("query sql")?,
            params.iter().map(|value| value.as_str().unwrap_or_default().to_owned()).collect(),
        );
        Ok(script)
    }

    /// A statement of our own in place of the request's query, in the same context.
    pub(crate) fn of_statement(sql: &str, like: &Request, server: &Server, user: &User) -> Result<Self> {
        let asked = format!("{} {}", like.method, like.path);
        let explained = server.explain(&asked, like.body.as_deref())?;
        let mut script = Self::default();
        script.open(&explained, like, user)?;
        script.add(sql, Vec::new());
        Ok(script)
    }

    pub(crate) fn transaction(&self) -> String {
        format!("begin;\n{}commit;\n", self.text)
    }

    fn open(&mut self, explained: &Value, request: &Request, user: &User) -> Result<()> {
        let names = explained["context"]["parameters"].as_array().context("context parameters")?;
        let value = |name: &Value| context_value(name.as_str().unwrap_or_default(), request, user);
        self.add(
            explained["context"]["sql"].as_str().context("context sql")?,
            names.iter().map(value).collect(),
        );
        Ok(())
    }

    /// Appends a statement, its `$n` turned into variables.
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
        "transaction_read_only" => if request.writes { "off" } else { "on" }.to_owned(),
        "session" => claim("session_id"),
        "tenant" => claim("tenant_id"),
        _ => String::new(),
    }
}
