//! `rest explain`: the SQL of a request; with `--as`, its plan, policies and hints.

mod impersonation;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use rowhouse_db::catalog::Snapshot;
use rowhouse_db::{DbSettings, catalog, flight};
use rowhouse_kernel::Caller;
use rowhouse_kernel::settings::Settings;
use rowhouse_rest::explain::{Prepared, Report};
use rowhouse_rest::{Failure, LimitSources, RestSettings, Sample};
use rowhouse_tenancy::limit::TenantLimits;
use serde_json::{Value, json};

use crate::cli::ExplainArgs;
use crate::command::migrate::connect_project;
use rowhouse_module::Project;
use rowhouse_module::{CannotRun, Outcome};

/// A request as given on the command line.
struct Request {
    method: Method,
    path_and_query: String,
    headers: HeaderMap,
    body: Bytes,
}

pub(super) async fn explain(project: &Project, args: &ExplainArgs) -> Result<Outcome, CannotRun> {
    let (settings, _) = crate::modules::settings(project)?;
    let request = Request::read(args)?;
    let caller = match &args.who {
        Some(who) => Some(impersonation::caller(project, who, args.tenant.as_deref()).await?),
        None => None,
    };
    let client = connect_project(project).await?;
    let snapshot = catalog::load(&client, &settings.get::<RestSettings>().schemas).await?;
    let Some(caller) = caller else { return statement_only(&request, &snapshot, &settings) };
    let ceilings = ceilings(&client, &settings).await?;
    let prepared = rowhouse_rest::explain::prepare(
        &request.sample(),
        &caller,
        &ceilings,
        &snapshot,
        &settings.get::<RestSettings>(),
    )
    .map_err(|failure| refused(&failure))?;
    let report = impersonation::explain(project, &client, &caller, &request, &prepared, args.analyze).await?;
    shown(args, &caller, &prepared, &report)
}

async fn ceilings(client: &tokio_postgres::Client, settings: &Settings) -> Result<LimitSources, CannotRun> {
    let tenants = Arc::new(TenantLimits::default());
    tenants.reload(client).await?;
    Ok(LimitSources {
        default_timeout: settings.get::<DbSettings>().statement_timeout,
        tenants,
        plans_for_all: true,
    })
}

fn refused(failure: &Failure) -> CannotRun {
    CannotRun::because(format!("{} {}: {}", failure.status.as_u16(), failure.code, failure.message))
}

impl Request {
    fn read(args: &ExplainArgs) -> Result<Self, CannotRun> {
        let (method, path) = args.request.split_once(' ').ok_or_else(|| {
            CannotRun::because("expected 'METHOD /path?query', for example 'GET /todos?id=eq.1'")
        })?;
        let method = method.parse().map_err(|_| CannotRun::because(format!("{method} is no HTTP method")))?;
        let mut headers = HeaderMap::new();
        for line in &args.headers {
            let bad = || CannotRun::because(format!("{line:?} is no header; expected 'Name: value'"));
            let (name, value) = line.split_once(':').ok_or_else(bad)?;
            let name: HeaderName = name.trim().parse().map_err(|_| bad())?;
            headers.append(name, HeaderValue::from_str(value.trim()).map_err(|_| bad())?);
        }
        let path_and_query = path.trim().trim_start_matches("/rest/v1").to_owned();
        let body = Bytes::from(args.body.clone().unwrap_or_default());
        Ok(Self { method, path_and_query, headers, body })
    }

    fn sample(&self) -> Sample<'_> {
        Sample {
            method: &self.method,
            path_and_query: &self.path_and_query,
            headers: &self.headers,
            body: self.body.clone(),
        }
    }

    fn path(&self) -> &str {
        self.path_and_query.split_once('?').map_or(&self.path_and_query, |(path, _)| path)
    }
}

fn params(query: &flight::Query) -> Vec<Option<String>> {
    let text = |value: &Bytes| String::from_utf8_lossy(value).into_owned();
    query.params.iter().map(|value| value.as_ref().map(text)).collect()
}

fn document(query: &flight::Query) -> Value {
    json!({ "sql": &*query.sql, "params": params(query) })
}

fn context() -> Value {
    let (opening, names) = flight::opening();
    json!({ "sql": &*opening, "parameters": names })
}

/// The statement of a request, independent of the caller.
fn statement_only(request: &Request, snapshot: &Snapshot, settings: &Settings) -> Result<Outcome, CannotRun> {
    let explained = rowhouse_rest::explain(&request.sample(), snapshot, &settings.get::<RestSettings>())
        .map_err(|failure| refused(&failure))?;
    let (opening, _) = flight::opening();
    let values = params(&explained.query);
    let values: String =
        values.iter().enumerate().map(|(i, value)| format!("-- ${} = {value:?}\n", i + 1)).collect();
    let text =
        format!("-- context, in the same round trip\n{opening};\n-- query\n{values}{};", explained.query.sql);
    Ok(Outcome::yes(json!({ "context": context(), "query": document(&explained.query) }), text))
}

fn shown(
    args: &ExplainArgs,
    caller: &Caller,
    prepared: &Prepared,
    report: &Report,
) -> Result<Outcome, CannotRun> {
    let mut output = serde_json::to_value(report)?;
    output["request"] = json!(args.request);
    output["analyzed"] = json!(args.analyze);
    output["context"] = context();
    output["before"] = json!(prepared.before.as_ref().map(document));
    output["query"] = document(&prepared.query);
    let [user, tenant] = [caller.user.map(|id| id.to_string()), caller.tenant.map(|id| id.to_string())];
    output["caller"] = json!({ "role": &*caller.role, "user": user, "tenant": tenant });
    let who = args.who.as_deref().unwrap_or_default();
    let tenant = tenant.map(|tenant| format!(" in tenant {tenant}")).unwrap_or_default();
    let mut text =
        format!("{} as {who} ({}{tenant})\n\nSQL\n  {}\n", args.request, caller.role, prepared.query.sql);
    for (place, value) in params(&prepared.query).iter().enumerate() {
        text.push_str(&format!("  ${} = {}\n", place + 1, value.as_deref().unwrap_or("null")));
    }
    text.push_str(&format!("\n{report}"));
    Ok(Outcome::yes(output, text))
}
