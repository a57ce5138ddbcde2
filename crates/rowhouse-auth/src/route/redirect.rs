//! Redirects that end a flow: with a code, with the session itself (implicit), or with an error. The target was allowed
//! when the flow began.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use url::Url;
use url::form_urlencoded::Serializer;

use crate::model::Session;
use crate::refusal::Refusal;

/// The target with a code to be exchanged.
pub(super) fn with_code(target: &str, code: &str) -> Option<String> {
    let mut url = Url::parse(target).ok()?;
    set_query(&mut url, &[("code", code)]);
    Some(url.into())
}

/// The target with the session in the fragment, which browsers send to no server.
pub(super) fn with_session(target: &str, session: &Session) -> Option<String> {
    let mut url = Url::parse(target).ok()?;
    let (expires_in, expires_at) = (session.expires_in.to_string(), session.expires_at.to_string());
    let mut fragment = Serializer::new(String::new());
    fragment
        .append_pair("access_token", &session.access_token)
        .append_pair("expires_at", &expires_at)
        .append_pair("expires_in", &expires_in);
    let of_provider = [
        ("provider_token", &session.provider_token),
        ("provider_refresh_token", &session.provider_refresh_token),
    ];
    for (name, token) in of_provider {
        if let Some(token) = token {
            fragment.append_pair(name, token);
        }
    }
    fragment
        .append_pair("refresh_token", &session.refresh_token)
        .append_pair("sb", "")
        .append_pair("token_type", session.token_type);
    url.set_fragment(Some(&fragment.finish()));
    Some(url.into())
}

/// The target with an error, in query and fragment as GoTrue has it. `code` is empty for errors of a provider.
pub(super) fn with_error(target: &str, (error, code, description): (&str, &str, &str)) -> Option<String> {
    let mut url = Url::parse(target).ok()?;
    let all = [("error", error), ("error_code", code), ("error_description", description)];
    let told: Vec<_> = all.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    set_query(&mut url, &told);
    let mut fragment = Serializer::new(String::new());
    fragment.extend_pairs(&told).append_pair("sb", "");
    url.set_fragment(Some(&fragment.finish()));
    Some(url.into())
}

/// GoTrue's word for a refusal, beside its code (RFC 6749 section 4.1.2.1).
pub(super) fn error_of(refusal: &Refusal) -> &'static str {
    let is_denied =
        ["signup_disabled", "user_banned", "provider_email_needs_verification"].contains(&refusal.code);
    match refusal.status {
        _ if is_denied => "access_denied",
        StatusCode::BAD_REQUEST => "invalid_request",
        StatusCode::UNAUTHORIZED => "unauthorized_client",
        StatusCode::FORBIDDEN => "access_denied",
        StatusCode::SERVICE_UNAVAILABLE => "temporarily_unavailable",
        _ => "server_error",
    }
}

/// Never cached: the URL has a code or tokens.
pub(super) fn redirect(status: StatusCode, url: &str) -> Option<Response> {
    let location = HeaderValue::from_str(url).ok()?;
    let no_store = HeaderValue::from_static("no-store");
    let headers = [(header::LOCATION, location), (header::CACHE_CONTROL, no_store)];
    Some((status, headers).into_response())
}

/// Replaces values that the target has under these names.
fn set_query(url: &mut Url, new: &[(&str, &str)]) {
    let kept: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(name, _)| new.iter().all(|(given, _)| given != name))
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    url.query_pairs_mut().clear().extend_pairs(&kept).extend_pairs(new);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_added_to_the_query_and_replaces_an_older_one() {
        let with = |target| with_code(target, "c d").unwrap();
        assert_eq!(with("https://app.example/x?a=b&code=old#f"), "https://app.example/x?a=b&code=c+d#f");
        assert_eq!(with("myapp://login"), "myapp://login?code=c+d");
        assert_eq!(with_code("no url", "c"), None);
    }

    #[test]
    fn error_is_told_in_query_and_fragment() {
        let told = with_error("https://app.example/", ("access_denied", "", "No & no")).unwrap();
        let said = "error=access_denied&error_description=No+%26+no";
        assert_eq!(told, format!("https://app.example/?{said}#{said}&sb="));
    }
}
