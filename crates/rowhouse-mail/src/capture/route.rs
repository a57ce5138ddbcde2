//! Routes of Mailpit's API.

mod info;
mod limit;
mod page;
mod send;
mod tag;

use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRef, Path, Query as UrlQuery, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post, put};
use http::{HeaderName, HeaderValue, StatusCode, header};
use rowhouse_db::{Control, DbError};
use rowhouse_http::limit::Rates;
use rowhouse_kernel::SharedClock;
use serde::Deserialize;
use serde_json::{Value, json};

use super::mailbox::{self, Captured, Page};
use super::query::Query;
use super::{document, part as parts, plain};
use crate::error::MailError;
use crate::intake::Intake;

/// Messages of a page.
const PAGE: i64 = 50;
const MOST_PAGE: i64 = 500;
/// Requests per client address and minute.
const MOST_PER_MINUTE: u32 = 6_000;
/// Largest request body; base64 makes files a third larger.
const MOST_BODY: usize = 64 * 1024 * 1024;

/// State of the routes.
#[derive(Clone)]
pub struct Capture {
    pub(crate) control: Control,
    pub(crate) intake: Intake,
    rates: Rates,
    pub(crate) clock: SharedClock,
    pub(crate) began: Instant,
}

impl Capture {
    /// A mailbox over `control`'s database; mails sent through it go to `intake`.
    #[must_use]
    pub fn new(control: Control, intake: Intake, rates: Rates, clock: SharedClock) -> Self {
        Self { control, intake, rates, clock, began: Instant::now() }
    }
}

impl FromRef<Capture> for Control {
    fn from_ref(capture: &Capture) -> Self {
        capture.control.clone()
    }
}

/// The mailbox's routes. Answers only requests whose Host is this machine, against DNS rebinding by another site's
/// page.
pub fn router(capture: Capture) -> Router {
    let limit = limit::per_address(MOST_PER_MINUTE, &capture.rates);
    Router::new()
        .merge(page::routes())
        .route("/livez", get(|| async { "ok" }))
        .route("/readyz", get(ready))
        .route("/api/v1/info", get(info::info))
        .route("/api/v1/webui", get(info::webui))
        .route("/api/v1/messages", get(list).put(mark).delete(delete))
        .route("/api/v1/search", get(search).delete(delete_found))
        .route("/api/v1/tags", get(tag::list).put(tag::set))
        .route("/api/v1/tags/{tag}", put(tag::rename).delete(tag::remove))
        .route("/api/v1/send", post(send::send).layer(DefaultBodyLimit::max(MOST_BODY)))
        .route("/api/v1/message/{id}", get(message))
        .route("/api/v1/message/{id}/headers", get(headers))
        .route("/api/v1/message/{id}/raw", get(raw))
        .route("/api/v1/message/{id}/part/{part}", get(part))
        .route("/view/{name}", get(view))
        .merge(missing())
        .fallback(|| async { error(StatusCode::NOT_FOUND, "no such path") })
        .layer(middleware::from_fn(require_this_machine))
        .layer(middleware::from_fn_with_state(limit, limit::limit_address))
        .with_state(capture)
}

/// Endpoints of Mailpit that this mailbox does not have: they answer with the reason.
fn missing() -> Router<Capture> {
    let because =
        |reason: &'static str| any(move || async move { error(StatusCode::NOT_IMPLEMENTED, reason) });
    Router::new()
        .route(
            "/api/v1/message/{id}/html-check",
            because("HTML is not checked: there is no table of mail programs here"),
        )
        .route(
            "/api/v1/message/{id}/link-check",
            because("links are not checked: nothing here calls other servers"),
        )
        .route("/api/v1/message/{id}/sa-check", because("there is no SpamAssassin here"))
        .route(
            "/api/v1/message/{id}/release",
            because("captured mails are not sent on; set mail.transport to relay"),
        )
        .route(
            "/api/v1/message/{id}/part/{part}/thumb",
            because("there are no thumbnails; ask for the part itself"),
        )
        .route("/api/v1/chaos", because("failures are not simulated"))
}

fn caller(message: &str) -> CaptureError {
    CaptureError::Caller(message.to_owned())
}

async fn require_this_machine(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name =
        host.rsplit_once(':').map_or(host, |(name, port)| if port.ends_with(']') { host } else { name });
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    if name == "localhost"
        || name.ends_with(".localhost")
        || address.is_ok_and(|address| address.is_loopback())
    {
        next.run(request).await
    } else {
        error(StatusCode::FORBIDDEN, "the mailbox is for this machine")
    }
}

fn error(status: StatusCode, message: &str) -> Response {
    (status, axum::Json(json!({ "Error": message }))).into_response()
}

fn ok() -> Response {
    "ok".into_response()
}

/// A route's result.
type CaptureResult = Result<Response, CaptureError>;

enum CaptureError {
    Caller(String),
    Missing,
    Db(DbError),
}

impl From<DbError> for CaptureError {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}

impl From<MailError> for CaptureError {
    fn from(error: MailError) -> Self {
        match error {
            MailError::Db(error) => Self::Db(error),
            other => Self::Caller(other.to_string()),
        }
    }
}

impl IntoResponse for CaptureError {
    fn into_response(self) -> Response {
        match self {
            Self::Caller(message) => error(StatusCode::BAD_REQUEST, &message),
            Self::Missing => error(StatusCode::NOT_FOUND, "message not found"),
            Self::Db(failure) => {
                tracing::warn!(error = %failure, "the mailbox cannot be read");
                error(StatusCode::SERVICE_UNAVAILABLE, "the mailbox cannot be read at the moment")
            }
        }
    }
}

async fn ready(State(control): State<Control>) -> CaptureResult {
    mailbox::list(&control, 0, 0, document::summary).await?;
    Ok(ok())
}

#[derive(Debug, Default, Deserialize)]
struct PageQuery {
    query: Option<String>,
    start: Option<i64>,
    limit: Option<i64>,
    tz: Option<String>,
}

impl PageQuery {
    fn page(&self) -> (i64, i64) {
        (self.start.unwrap_or(0).max(0), self.limit.unwrap_or(PAGE).clamp(0, MOST_PAGE))
    }

    fn query(&self) -> Result<Query, CaptureError> {
        if self.tz.as_deref().is_some_and(|tz| !["", "UTC", "Etc/UTC", "GMT"].contains(&tz)) {
            return Err(caller("tz: only UTC; give before: and after: an offset"));
        }
        let query = self.query.as_deref().unwrap_or_default();
        Query::read(query).map_err(CaptureError::Caller)?.ok_or_else(|| caller("Error: no search query"))
    }
}

fn page(start: i64, page: &Page<Value>) -> Response {
    let document = json!({
        "total": page.all.total,
        "unread": page.all.unread,
        "count": page.messages.len(),
        "messages_count": page.matching.total,
        "messages_unread": page.matching.unread,
        "start": start,
        "tags": page.tags,
        "messages": page.messages,
    });
    axum::Json(document).into_response()
}

async fn list(State(control): State<Control>, UrlQuery(asked): UrlQuery<PageQuery>) -> CaptureResult {
    let (start, limit) = asked.page();
    Ok(page(start, &mailbox::list(&control, start, limit, document::summary).await?))
}

async fn search(State(control): State<Control>, UrlQuery(asked): UrlQuery<PageQuery>) -> CaptureResult {
    let (start, limit) = asked.page();
    let [from, most] = [start, limit].map(|number| usize::try_from(number).unwrap_or(0));
    let found = mailbox::search(&control, asked.query()?, from, most, document::summary).await?;
    Ok(page(start, &found))
}

async fn delete_found(State(control): State<Control>, UrlQuery(asked): UrlQuery<PageQuery>) -> CaptureResult {
    let ids = found(&control, asked.query()?).await?;
    if !ids.is_empty() {
        mailbox::delete(&control, ids).await?;
    }
    Ok(ok())
}

async fn found(control: &Control, query: Query) -> Result<Vec<i64>, CaptureError> {
    Ok(mailbox::search(control, query, 0, usize::MAX, |message| message.id).await?.messages)
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Selection {
    #[serde(rename = "IDs", alias = "ids")]
    ids: Vec<String>,
    #[serde(rename = "Read", alias = "read")]
    read: bool,
    #[serde(rename = "Search", alias = "search")]
    search: String,
}

impl Selection {
    /// Ids are numbers; anything else matches no message.
    fn numbers(&self) -> Vec<i64> {
        self.ids.iter().map(|id| id.parse().unwrap_or(-1)).collect()
    }
}

fn selection(body: &Bytes) -> Result<Selection, CaptureError> {
    if body.trim_ascii().is_empty() {
        return Ok(Selection::default());
    }
    serde_json::from_slice(body).map_err(|_| caller("expected a JSON object with IDs"))
}

async fn mark(State(control): State<Control>, body: Bytes) -> CaptureResult {
    let selection = selection(&body)?;
    let ids = match Query::read(&selection.search).map_err(CaptureError::Caller)? {
        Some(_) if !selection.ids.is_empty() => {
            return Err(caller("You may specify either IDs or a search query, not both"));
        }
        Some(query) => match found(&control, query).await? {
            none if none.is_empty() => return Ok(ok()),
            some => some,
        },
        None => selection.numbers(),
    };
    mailbox::mark(&control, ids, selection.read).await?;
    Ok(ok())
}

async fn delete(State(control): State<Control>, body: Bytes) -> CaptureResult {
    mailbox::delete(&control, selection(&body)?.numbers()).await?;
    Ok(ok())
}

/// Finds a message by number, or `latest`.
async fn get_message(control: &Control, id: &str, reads: bool) -> Result<Captured, CaptureError> {
    let id = match id {
        "latest" => None,
        number => Some(number.parse().map_err(|_| CaptureError::Missing)?),
    };
    mailbox::find(control, id, reads).await?.ok_or(CaptureError::Missing)
}

async fn message(State(control): State<Control>, Path(id): Path<String>) -> CaptureResult {
    Ok(axum::Json(document::whole(&get_message(&control, &id, true).await?)).into_response())
}

async fn headers(State(control): State<Control>, Path(id): Path<String>) -> CaptureResult {
    Ok(axum::Json(document::headers(&get_message(&control, &id, false).await?)).into_response())
}

async fn raw(State(control): State<Control>, Path(id): Path<String>) -> CaptureResult {
    let message = get_message(&control, &id, false).await?;
    Ok(content("text/plain; charset=utf-8", message.mime))
}

async fn part(State(control): State<Control>, Path((id, part)): Path<(String, u32)>) -> CaptureResult {
    let message = get_message(&control, &id, false).await?;
    let file = parts::content(&message, part).ok_or(CaptureError::Missing)?;
    let disposition = HeaderValue::from_str(&file.disposition).map_err(|_| CaptureError::Missing)?;
    let mut response = content(&file.media_type, file.bytes);
    response.headers_mut().insert(header::CONTENT_DISPOSITION, disposition);
    Ok(response)
}

#[derive(Debug, Default, Deserialize)]
struct ViewQuery {
    /// Makes links open in a new tab: the page shows a mail in a frame.
    #[serde(default)]
    framed: bool,
}

/// `latest.html`, `12.txt`.
async fn view(
    State(control): State<Control>,
    Path(name): Path<String>,
    UrlQuery(asked): UrlQuery<ViewQuery>,
) -> CaptureResult {
    let (id, kind) = name.rsplit_once('.').ok_or(CaptureError::Missing)?;
    let message = get_message(&control, id, false).await?;
    let document = document::whole(&message);
    let (field, media_type) = match kind {
        "html" => ("HTML", "text/html; charset=utf-8"),
        "txt" => ("Text", "text/plain; charset=utf-8"),
        _ => return Err(CaptureError::Missing),
    };
    let text = document[field].as_str().filter(|text| !text.is_empty());
    let text = match (text, kind) {
        (Some(html), "html") => parts::with_parts(html, &message),
        (Some(text), _) => text.to_owned(),
        // A mail without HTML is shown all the same.
        (None, "html") => plain::page(document["Text"].as_str().unwrap_or_default()),
        (None, _) => return Err(CaptureError::Missing),
    };
    let base = if asked.framed { "<base target=\"_blank\">" } else { "" };
    Ok(content(media_type, [base, &text].concat().into_bytes()))
}

/// A mail's content is sandboxed: it may be displayed, and runs no scripts.
fn content(media_type: &str, bytes: Vec<u8>) -> Response {
    let fixed = HeaderValue::from_static("application/octet-stream");
    let media_type = HeaderValue::from_str(media_type).unwrap_or(fixed);
    let policy = "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; img-src * data:; \
                  style-src 'unsafe-inline' *; font-src * data:";
    let headers = [
        (header::CONTENT_TYPE, media_type),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy)),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff")),
    ];
    (headers, bytes).into_response()
}

#[cfg(test)]
mod tests {
    use super::PageQuery;

    #[test]
    fn page_has_at_most_500_messages() {
        let page = |start, limit| PageQuery { start, limit, ..PageQuery::default() }.page();
        assert_eq!(
            [page(None, None), page(Some(7), Some(501)), page(Some(-1), Some(-1))],
            [(0, 50), (7, 500), (0, 0)]
        );
    }
}
