//! From the database's answer to an HTTP response: status, headers, body. A pure function.
//!
//! The body consists of PostgreSQL's bytes.

mod guc;
mod header;
mod preference;
mod result;

pub(crate) use header::encode;
pub(crate) use result::{ResponseBody, ResultSet};

use axum::body::Body;
use bytes::Bytes;
use http::header::{CONTENT_LOCATION, CONTENT_TYPE, LOCATION, VARY, WARNING};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use rowhouse_db::catalog::Returns;

use crate::error::Error;
use crate::header::ACCEPT_QUERY;
use crate::plan::{CallPlan, Format, Plan, ReadPlan, Returning, Total, WritePlan};
use crate::request::{Action, ApiRequest, Count, Media, Mutation, Resolution};

/// The answer of the database.
#[derive(Debug)]
pub(crate) enum QueryOutcome {
    /// No query was run.
    Nothing,
    /// A description of the schema.
    Document(serde_json::Value),
    Rows(ResultSet),
}

/// A response under construction.
struct Draft {
    status: StatusCode,
    headers: HeaderMap,
    body: ResponseBody,
}

/// Builds the response.
///
/// # Errors
/// If the answer is not acceptable: not exactly one row, an offset beyond the end, malformed settings.
pub(crate) fn respond(
    request: &ApiRequest,
    plan: &Plan<'_>,
    outcome: QueryOutcome,
) -> Result<Response<Body>, Error> {
    match outcome {
        QueryOutcome::Nothing => Ok(describe(request, plan)),
        QueryOutcome::Document(document) => Ok(schema(request, plan, &document)),
        QueryOutcome::Rows(rows) => result(request, plan, rows),
    }
}

fn result(request: &ApiRequest, plan: &Plan<'_>, answer: ResultSet) -> Result<Response<Body>, Error> {
    if let Some(format) = plan.format().filter(|format| format.explain.is_some()) {
        let mut headers = HeaderMap::with_capacity(4);
        content(request, &format.media, &mut headers);
        let draft = Draft { status: StatusCode::OK, headers, body: answer.body };
        return finish(request, plan, draft, &(None, None));
    }
    let guc = (answer.headers.clone(), answer.status.clone());
    let draft = match plan {
        Plan::Read(plan) => read(request, plan, answer)?,
        Plan::Write(plan) => write(request, plan, answer),
        Plan::Call(plan) => call(request, plan, answer)?,
        Plan::Describe(_) | Plan::Root { .. } => return Ok(Response::default()),
    };
    finish(request, plan, draft, &guc)
}

/// The answer to `OPTIONS`. `Allow` equals PostgREST's, so QUERY is announced in another header.
fn describe(request: &ApiRequest, plan: &Plan<'_>) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    let Plan::Describe(allowed) = plan else { return response };
    let reads = allowed.split(',').any(|method| method == "GET");
    if reads && request.action != Action::DescribeRoot {
        let (name, value) = ACCEPT_QUERY;
        response.headers_mut().insert(name, value);
    }
    header::insert(response.headers_mut(), http::header::ALLOW, allowed);
    header::insert(response.headers_mut(), http::header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    response
}

/// The description of the schema.
fn schema(request: &ApiRequest, plan: &Plan<'_>, document: &serde_json::Value) -> Response<Body> {
    let text = Bytes::from(document.to_string());
    let mut response = Response::new(if is_head(plan) { unknown_length() } else { Body::from(text) });
    content(request, &Media::Openapi, response.headers_mut());
    response
}

fn finish(
    request: &ApiRequest,
    plan: &Plan<'_>,
    mut draft: Draft,
    (headers, status): &(Option<Bytes>, Option<Bytes>),
) -> Result<Response<Body>, Error> {
    if let Some(applied) = preference::applied(request, plan) {
        header::insert(&mut draft.headers, HeaderName::from_static("preference-applied"), &applied);
    }
    draft.headers.insert(VARY, HeaderValue::from_static("Accept, Prefer, Range"));
    if let Some(status) = status {
        draft.status = guc::status(status)?;
    }
    if let Some(headers) = headers {
        guc::add_headers(&mut draft.headers, headers)?;
    }
    if !request.legacy_targets.is_empty() {
        header::insert(&mut draft.headers, WARNING, &header::legacy_names(&request.legacy_targets));
    }
    let body = if is_head(plan) { unknown_length() } else { draft.body.into_body(&mut draft.headers) };
    let mut response = Response::new(body);
    *response.status_mut() = draft.status;
    *response.headers_mut() = draft.headers;
    Ok(response)
}

fn read(request: &ApiRequest, plan: &ReadPlan<'_>, answer: ResultSet) -> Result<Draft, Error> {
    singular(&plan.format, answer.page)?;
    let mut headers = HeaderMap::with_capacity(8);
    let status = page(request, plan.total, &answer, &mut headers)?;
    if let (crate::plan::Source::Table(table), Some(canonical)) = (plan.node.source, &request.canonical) {
        let location = match canonical.as_str() {
            "" => format!("/{}", header::encode(&table.name.name)),
            query => format!("/{}?{query}", header::encode(&table.name.name)),
        };
        header::insert(&mut headers, CONTENT_LOCATION, &location);
    }
    content(request, &plan.format.media, &mut headers);
    Ok(Draft { status, headers, body: if plan.headers_only { ResponseBody::NOTHING } else { answer.body } })
}

fn call(request: &ApiRequest, plan: &CallPlan<'_>, answer: ResultSet) -> Result<Draft, Error> {
    singular(&plan.format, answer.page)?;
    let mut headers = HeaderMap::with_capacity(8);
    let status = page(request, plan.total, &answer, &mut headers)?;
    if plan.function.returns == Returns::Void && !plan.function.returns_set {
        return Ok(Draft { status: StatusCode::NO_CONTENT, headers, body: ResponseBody::NOTHING });
    }
    content(request, &plan.format.media, &mut headers);
    Ok(Draft { status, headers, body: if plan.headers_only { ResponseBody::NOTHING } else { answer.body } })
}

fn write(request: &ApiRequest, plan: &WritePlan<'_>, answer: ResultSet) -> Draft {
    let mut headers = HeaderMap::with_capacity(8);
    let shows = plan.read.is_some();
    let merges = request.prefer.resolution == Some(Resolution::Merge);
    let status = match plan.mutation {
        Mutation::Insert if merges && answer.new_rows <= 0 => StatusCode::OK,
        Mutation::Insert => StatusCode::CREATED,
        Mutation::Replace if shows && answer.new_rows > 0 => StatusCode::CREATED,
        _ if shows => StatusCode::OK,
        _ => StatusCode::NO_CONTENT,
    };
    let counted =
        matches!(request.prefer.count, Some(Count::Exact | Count::Estimated)).then_some(answer.page);
    match plan.mutation {
        Mutation::Insert | Mutation::Delete => header::content_range(&mut headers, 1, 0, counted),
        Mutation::Update => header::content_range(&mut headers, 0, answer.page - 1, counted),
        Mutation::Replace => {}
    }
    if let (Returning::Key(columns), Some(key)) = (&plan.returning, &answer.key)
        && let Some(location) = header::location(&plan.table.name.name, columns, key)
    {
        header::insert(&mut headers, LOCATION, &location);
    }
    if shows {
        content(request, &plan.format.media, &mut headers);
    }
    Draft { status, headers, body: if shows { answer.body } else { ResponseBody::NOTHING } }
}

fn is_head(plan: &Plan<'_>) -> bool {
    match plan {
        Plan::Read(plan) => plan.headers_only,
        Plan::Call(plan) => plan.headers_only,
        Plan::Root { headers_only, .. } => *headers_only,
        Plan::Write(_) | Plan::Describe(_) => false,
    }
}

/// HEAD builds no body, so its length is not known; an empty body would claim that it is 0.
fn unknown_length() -> Body {
    Body::from_stream(futures_util::stream::empty::<Result<Bytes, std::convert::Infallible>>())
}

/// A single object requires exactly one row.
fn singular(format: &Format<'_>, rows: i64) -> Result<(), Error> {
    let wrong = format.is_singular() && rows != 1;
    if wrong { Err(Error::Singular(rows)) } else { Ok(()) }
}

/// Status and `Content-Range` of a page of rows.
fn page(
    request: &ApiRequest,
    kind: Total,
    answer: &ResultSet,
    headers: &mut HeaderMap,
) -> Result<StatusCode, Error> {
    if answer.total.is_none() && matches!(answer.body, ResponseBody::Streamed(_, None)) {
        // The number of rows is not known and was not requested.
        return Ok(StatusCode::OK);
    }
    let lower = request.range.lower;
    let end = lower.saturating_add(answer.page);
    // A range that ends beyond its total is invalid (RFC 9110 section 14.4), and an estimate may be too low.
    let total = match answer.total {
        Some(total) if kind.is_estimate() && answer.page > 0 => Some(total.max(end)),
        Some(total) if kind == Total::CountedEstimate && lower >= total && total > 0 => None,
        total => total,
    };
    header::content_range(headers, lower, end.saturating_sub(1), total);
    match total {
        Some(total) if lower > total => Err(Error::OutOfBounds { offset: lower, total }),
        Some(total) if answer.page < total => Ok(StatusCode::PARTIAL_CONTENT),
        _ => Ok(StatusCode::OK),
    }
}

fn content(request: &ApiRequest, media: &Media, headers: &mut HeaderMap) {
    let value = match media {
        Media::Json => HeaderValue::from_static("application/json; charset=utf-8"),
        Media::Binary | Media::Other(_) => header::value(&media.name()),
        other => header::value(&format!("{}; charset=utf-8", other.name())),
    };
    headers.insert(CONTENT_TYPE, value);
    if request.names_schema {
        header::insert(headers, HeaderName::from_static("content-profile"), &request.schema);
    }
}

#[cfg(test)]
mod tests;
