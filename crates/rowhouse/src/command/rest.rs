//! `rest explain`: the SQL that a request becomes, without running it.

use bytes::Bytes;
use http::{HeaderMap, Method};
use rowhouse_db::{catalog, flight};
use rowhouse_rest::Sample;
use serde_json::json;

use crate::command::migrate::connect_project;
use crate::outcome::{CannotRun, Outcome};
use crate::project::Project;

pub(super) async fn explain(
    project: &Project,
    request: &str,
    data: Option<String>,
) -> Result<Outcome, CannotRun> {
    let (settings, _) = project.settings()?;
    let (method, path) = request.split_once(' ').ok_or_else(|| {
        CannotRun::because("expected 'METHOD /path?query', for example 'GET /todos?id=eq.1'")
    })?;
    let method: Method =
        method.parse().map_err(|_| CannotRun::because(format!("{method} is no HTTP method")))?;
    let snapshot = catalog::load(&connect_project(project).await?, &settings.rest.schemas).await?;
    let path = path.trim_start_matches("/rest/v1");
    let sample = Sample {
        method: &method,
        path_and_query: path,
        headers: &HeaderMap::new(),
        body: Bytes::from(data.unwrap_or_default()),
    };
    let explained = rowhouse_rest::explain(&sample, &snapshot, &settings.rest)
        .map_err(|failure| CannotRun::because(failure.message))?;
    let params: Vec<Option<String>> = explained
        .query
        .params
        .iter()
        .map(|value| value.as_ref().map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
        .collect();
    let (opening, names) = flight::opening();
    let shown: String =
        params.iter().enumerate().map(|(i, value)| format!("-- ${} = {value:?}\n", i + 1)).collect();
    let json = json!({
        "context": { "sql": &*opening, "parameters": names },
        "query": { "sql": &*explained.query.sql, "params": params },
    });
    Ok(Outcome::yes(
        json,
        format!("-- context, in the same round trip\n{opening};\n-- query\n{shown}{};", explained.query.sql),
    ))
}
