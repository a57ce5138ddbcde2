//! Pages with a button. Links are opened by scanners of mail gateways and by other sites; only the POST of the button does
//! what the link is for.

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

const STYLE: &str = "body{margin:0;padding:24px;background:#f4f5f7;color:#1c2430;font:16px/1.5 system-ui,sans-serif}\
    main{max-width:520px;margin:0 auto;padding:32px;background:#fff;border-radius:8px}h1{margin:0 0 16px;font-size:22px}\
    button{padding:12px 20px;border:0;border-radius:6px;background:#1f5fd0;color:#fff;font:inherit}";

/// Nothing but its own style. The form may lead anywhere: Chromium holds its redirects against `form-action`, and where
/// applications redirect to is not known here.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'";

/// What a page says.
#[derive(Debug)]
pub(super) struct Words {
    pub(super) title: &'static str,
    /// Plain text; shown as such, whatever it contains.
    pub(super) text: String,
    pub(super) button: &'static str,
}

/// Whether a form was sent from a page of this server, as far as the browser says.
pub(super) fn is_own_form(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin")
}

/// Whether a client that prefers `language` gets German, else English.
pub(super) fn is_german(language: Option<&str>) -> bool {
    language.is_some_and(|language| language.to_ascii_lowercase().starts_with("de"))
}

/// The page. Its form goes to the address that was opened.
pub(super) fn show(language: Option<&str>, words: &Words) -> Response {
    let Words { title, text, button } = words;
    let form = format!("<form method=\"post\"><button>{button}</button></form>");
    whole(language, title, &format!("<p>{}</p>{form}", escaped(text)))
}

/// A page without a button: it is done.
pub(super) fn tell(language: Option<&str>, title: &str, text: &str) -> Response {
    whole(language, title, &format!("<p>{}</p>", escaped(text)))
}

fn whole(language: Option<&str>, title: &str, body: &str) -> Response {
    let language = if is_german(language) { "de" } else { "en" };
    let html = format!(
        "<!doctype html>\n<html lang=\"{language}\">\n<head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style></head>\n\
         <body><main><h1>{title}</h1>{body}</main></body>\n</html>\n"
    );
    (StatusCode::OK, headers(), html).into_response()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The address of the page is a credential: no caching, no referrer, and no framing, so that no other site can embed the
/// button.
fn headers() -> [(HeaderName, HeaderValue); 5] {
    [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (HeaderName::from_static("x-robots-tag"), HeaderValue::from_static("noindex")),
    ]
}
