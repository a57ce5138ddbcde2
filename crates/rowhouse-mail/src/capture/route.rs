//! The paths, as Mailpit has them.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query as UrlQuery, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderName, HeaderValue, StatusCode, header};
use rowhouse_db::{Control, DbError};
use serde::Deserialize;
use serde_json::{Value, json};

use super::document;
use super::mailbox::{self, Captured, Page};
use super::query::Query;

/// Messages of a page.
const PAGE: i64 = 50;
const MOST_PAGE: i64 = 500;

/// The mailbox's paths. Answers only requests that name this machine: a page elsewhere must not read mails by a name
/// that it has pointed here.
pub fn router(control: Control) -> Router {
    Router::new()
        .route("/", get(home))
        .route("/livez", get(|| async { "ok" }))
        .route("/readyz", get(ready))
        .route("/api/v1/messages", get(list).put(mark).delete(delete))
        .route("/api/v1/search", get(search).delete(delete_found))
        .route("/api/v1/message/{id}", get(message))
        .route("/api/v1/message/{id}/headers", get(headers))
        .route("/api/v1/message/{id}/raw", get(raw))
        .route("/api/v1/message/{id}/part/{part}", get(part))
        .route("/view/{name}", get(view))
        .fallback(|| async { error(StatusCode::NOT_FOUND, "no such path") })
        .layer(middleware::from_fn(require_this_machine))
        .with_state(control)
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

/// What a route answers, or why it cannot.
type Answer = Result<Response, CaptureError>;

enum CaptureError {
    Caller(&'static str),
    Missing,
    Db(DbError),
}

impl From<DbError> for CaptureError {
    fn from(error: DbError) -> Self {
        Self::Db(error)
    }
}

impl IntoResponse for CaptureError {
    fn into_response(self) -> Response {
        match self {
            Self::Caller(message) => error(StatusCode::BAD_REQUEST, message),
            Self::Missing => error(StatusCode::NOT_FOUND, "message not found"),
            Self::Db(failure) => {
                tracing::warn!(error = %failure, "the mailbox cannot be read");
                error(StatusCode::SERVICE_UNAVAILABLE, "the mailbox cannot be read at the moment")
            }
        }
    }
}

/// A page for whoever opens the port in a browser.
async fn home() -> Response {
    const TEXT: &str = "Captured mail. The newest message: /view/latest.html, /view/latest.txt\n\
                        Mailpit's API: /api/v1/messages, /api/v1/message/{id}, /api/v1/search?query=\n";
    TEXT.into_response()
}

async fn ready(State(control): State<Control>) -> Answer {
    mailbox::list(&control, 0, 0, document::summary).await?;
    Ok(ok())
}

#[derive(Debug, Default, Deserialize)]
struct PageQuery {
    query: Option<String>,
    start: Option<i64>,
    limit: Option<i64>,
}

impl PageQuery {
    fn page(&self) -> (i64, i64) {
        (self.start.unwrap_or(0).max(0), self.limit.unwrap_or(PAGE).clamp(0, MOST_PAGE))
    }

    fn query(&self) -> Result<Query, CaptureError> {
        self.query.as_deref().and_then(Query::read).ok_or(CaptureError::Caller("Error: no search query"))
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

async fn list(State(control): State<Control>, UrlQuery(asked): UrlQuery<PageQuery>) -> Answer {
    let (start, limit) = asked.page();
    Ok(page(start, &mailbox::list(&control, start, limit, document::summary).await?))
}

async fn search(State(control): State<Control>, UrlQuery(asked): UrlQuery<PageQuery>) -> Answer {
    let (start, limit) = asked.page();
    let [from, most] = [start, limit].map(|number| usize::try_from(number).unwrap_or(0));
    let found = mailbox::search(&control, asked.query()?, from, most, document::summary).await?;
    Ok(page(start, &found))
}

async fn delete_found(State(control): State<Control>, UrlQuery(asked): UrlQuery<PageQuery>) -> Answer {
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
    /// Numbers only: no other id exists.
    fn numbers(&self) -> Vec<i64> {
        self.ids.iter().map(|id| id.parse().unwrap_or(-1)).collect()
    }
}

fn selection(body: &Bytes) -> Result<Selection, CaptureError> {
    if body.trim_ascii().is_empty() {
        return Ok(Selection::default());
    }
    serde_json::from_slice(body).map_err(|_| CaptureError::Caller("expected a JSON object with IDs"))
}

async fn mark(State(control): State<Control>, body: Bytes) -> Answer {
    let selection = selection(&body)?;
    let ids = match Query::read(&selection.search) {
        Some(_) if !selection.ids.is_empty() => {
            return Err(CaptureError::Caller("You may specify either IDs or a search query, not both"));
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

async fn delete(State(control): State<Control>, body: Bytes) -> Answer {
    mailbox::delete(&control, selection(&body)?.numbers()).await?;
    Ok(ok())
}

/// By number, or `latest`.
async fn get_message(control: &Control, id: &str, reads: bool) -> Result<Captured, CaptureError> {
    let id = match id {
        "latest" => None,
        number => Some(number.parse().map_err(|_| CaptureError::Missing)?),
    };
    mailbox::find(control, id, reads).await?.ok_or(CaptureError::Missing)
}

async fn message(State(control): State<Control>, Path(id): Path<String>) -> Answer {
    Ok(axum::Json(document::whole(&get_message(&control, &id, true).await?)).into_response())
}

async fn headers(State(control): State<Control>, Path(id): Path<String>) -> Answer {
    Ok(axum::Json(document::headers(&get_message(&control, &id, false).await?)).into_response())
}

async fn raw(State(control): State<Control>, Path(id): Path<String>) -> Answer {
    let message = get_message(&control, &id, false).await?;
    Ok(content("text/plain; charset=utf-8", message.mime))
}

async fn part(State(control): State<Control>, Path((id, part)): Path<(String, u32)>) -> Answer {
    let message = get_message(&control, &id, false).await?;
    let (media_type, bytes) = document::part(&message, part).ok_or(CaptureError::Missing)?;
    Ok(content(&media_type, bytes))
}

/// `latest.html`, `12.txt`.
async fn view(State(control): State<Control>, Path(name): Path<String>) -> Answer {
    let (id, kind) = name.rsplit_once('.').ok_or(CaptureError::Missing)?;
    let message = get_message(&control, id, false).await?;
    let document = document::whole(&message);
    let (field, media_type) = match kind {
        "html" => ("HTML", "text/html; charset=utf-8"),
        "txt" => ("Text", "text/plain; charset=utf-8"),
        _ => return Err(CaptureError::Missing),
    };
    let text = document[field].as_str().filter(|text| !text.is_empty()).ok_or(CaptureError::Missing)?;
    Ok(content(media_type, text.as_bytes().to_vec()))
}

/// What a mail contains may look like a page, but not act like one.
fn content(media_type: &str, bytes: Vec<u8>) -> Response {
    let fixed = HeaderValue::from_static("application/octet-stream");
    let media_type = HeaderValue::from_str(media_type).unwrap_or(fixed);
    let policy =
        "sandbox; default-src 'none'; img-src * data:; style-src 'unsafe-inline' *; font-src * data:";
    let headers = [
        (header::CONTENT_TYPE, media_type),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy)),
        (HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff")),
    ];
    (headers, bytes).into_response()
}
