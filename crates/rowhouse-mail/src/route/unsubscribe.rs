//! One-click unsubscribe (RFC 8058), for everybody who has the link. Only a POST unsubscribes: scanners and previews
//! follow links with GET, and get a page with a button.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use rowhouse_db::Transaction;
use rowhouse_kernel::Origin;
use serde::Deserialize;

use super::MailApi;
use crate::unsubscribe::{Unsubscription, leave};

/// Largest form, in bytes; the expected one has 30.
const MOST_FORM: usize = 16 * 1024;

#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    token: String,
}

/// The parsed link; an unreadable query is an invalid link.
type Link = Result<Query<Asked>, QueryRejection>;

/// The pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Page {
    Ask,
    Done,
    BadLink,
    BadForm,
    NotNow,
}

impl Page {
    fn status(self) -> StatusCode {
        match self {
            Self::Ask | Self::Done => StatusCode::OK,
            Self::BadLink | Self::BadForm => StatusCode::BAD_REQUEST,
            Self::NotNow => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Heading and sentence; `{}` is replaced by list and address.
    fn words(self, is_german: bool) -> (&'static str, &'static str) {
        match (self, is_german) {
            (Self::Ask, false) => ("Unsubscribe", "No more mails of {} to {}?"),
            (Self::Ask, true) => ("Abmelden", "Keine Mails von {} an {} mehr?"),
            (Self::Done, false) => ("Unsubscribed", "No more mails of {} go to {}."),
            (Self::Done, true) => ("Abgemeldet", "Mails von {} gehen nicht mehr an {}."),
            (Self::BadLink, false) => {
                ("This link is not valid", "Perhaps it was cut off. Use the one in the mail.")
            }
            (Self::BadLink, true) => {
                ("Dieser Link ist ungültig", "Vielleicht wurde er abgeschnitten. Nehmen Sie den in der Mail.")
            }
            (Self::BadForm, false) => {
                ("Nothing was changed", "The request did not say List-Unsubscribe=One-Click.")
            }
            (Self::BadForm, true) => {
                ("Nichts wurde geändert", "Die Anfrage sagte nicht List-Unsubscribe=One-Click.")
            }
            (Self::NotNow, false) => ("Not now", "Nothing was changed. Please try again later."),
            (Self::NotNow, true) => ("Gerade nicht", "Nichts wurde geändert. Bitte versuchen Sie es später."),
        }
    }

    fn show(self, unsubscription: Option<&Unsubscription>, headers: &HeaderMap) -> Response {
        let is_german = speaks_german(headers);
        let (title, text) = self.words(is_german);
        let [list, address] = unsubscription.map_or([String::new(), String::new()], |unsubscription| {
            [escape(&unsubscription.list), format!("<b>{}</b>", escape(&unsubscription.address))]
        });
        let text = text.replacen("{}", &list, 1).replacen("{}", &address, 1);
        let form = match self {
            Self::Ask => format!(
                "<form method=\"post\"><input type=\"hidden\" name=\"List-Unsubscribe\" value=\"One-Click\">\
                 <button>{title}</button></form>"
            ),
            _ => String::new(),
        };
        let language = if is_german { "de" } else { "en" };
        let html = format!(
            "<!doctype html>\n<html lang=\"{language}\">\n<head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style></head>\n\
             <body><main><h1>{title}</h1><p>{text}</p>{form}</main></body>\n</html>\n"
        );
        (self.status(), page_headers(), html).into_response()
    }
}

const STYLE: &str = "body{margin:0;padding:24px;background:#f4f5f7;color:#1c2430;font:16px/1.5 system-ui,sans-serif}\
    main{max-width:520px;margin:0 auto;padding:32px;background:#fff;border-radius:8px}h1{margin:0 0 16px;font-size:22px}\
    p{overflow-wrap:anywhere}button{padding:12px 20px;border:0;border-radius:6px;background:#1f5fd0;color:#fff;font:inherit}";

/// The link is a credential: no caching, no referrer, and no framing, so that no other site can embed the button.
fn page_headers() -> [(HeaderName, HeaderValue); 5] {
    const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
    [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (HeaderName::from_static("x-robots-tag"), HeaderValue::from_static("noindex")),
    ]
}

/// Whether Accept-Language prefers German to English.
fn speaks_german(headers: &HeaderMap) -> bool {
    let asked =
        headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut languages = asked.split(',').map(|language| language.trim().to_ascii_lowercase());
    languages
        .find(|language| language.starts_with("de") || language.starts_with("en"))
        .is_some_and(|l| l.starts_with("de"))
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// The page with the button. Changes nothing.
pub(super) async fn ask(State(api): State<Arc<MailApi>>, asked: Link, headers: HeaderMap) -> Response {
    match read(&api, asked) {
        Some(unsubscription) => Page::Ask.show(Some(&unsubscription), &headers),
        None => Page::BadLink.show(None, &headers),
    }
}

/// Unsubscribes.
pub(super) async fn post(
    State(api): State<Arc<MailApi>>,
    asked: Link,
    Extension(origin): Extension<Origin>,
    headers: HeaderMap,
    request: Request,
) -> Response {
    let Some(unsubscription) = read(&api, asked) else { return Page::BadLink.show(None, &headers) };
    if !is_one_click(request.into_body()).await {
        return Page::BadForm.show(None, &headers);
    }
    let left = unsubscription.clone();
    let write = async move |tx: &Transaction<'_>| leave(tx, &left).await;
    match api.control.run_tx(&origin.operation("mail.unsubscribe"), write).await {
        Ok(()) => Page::Done.show(Some(&unsubscription), &headers),
        Err(error) => {
            tracing::warn!(%error, "an unsubscription was not written");
            Page::NotNow.show(None, &headers)
        }
    }
}

fn read(api: &MailApi, asked: Link) -> Option<Unsubscription> {
    let Query(asked) = asked.ok()?;
    api.intake.mailer().lists()?.read(&asked.token)
}

/// A form of either content type (RFC 8058 section 3.1), as mail programs and the button send it.
async fn is_one_click(body: Body) -> bool {
    let Ok(bytes) = axum::body::to_bytes(body, MOST_FORM).await else { return false };
    let text = String::from_utf8_lossy(&bytes);
    let is_pair = |pair: &str| pair.trim() == "List-Unsubscribe=One-Click";
    text.split('&').any(is_pair) || text.split("\r\n--").any(is_part)
}

/// A part of multipart/form-data: headers, an empty line, the value.
fn is_part(part: &str) -> bool {
    part.split_once("\r\n\r\n").is_some_and(|(head, value)| {
        head.contains("name=\"List-Unsubscribe\"") && value.trim() == "One-Click"
    })
}
