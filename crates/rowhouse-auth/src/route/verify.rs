//! /verify: GET for links in mails, POST for clients and for the button of the page that a link shows.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use rowhouse_kernel::Secret;
use serde::Deserialize;
use serde_json::json;
use url::form_urlencoded::Serializer;

use super::page::is_own_form;
use super::phone::{self, Named};
use super::{session_answer, verify_page};
use crate::Auth;
use crate::flow::one_time::PKCE_PREFIX;
use crate::flow::verify::{Answer, Proof, Verified, VerifyError, verify};
use crate::model::Session;
use crate::one_time::VerifyType;
use crate::phone::Phone;
use crate::policy;
use crate::refusal::Refusal;
use crate::request::{Client, Params, RedirectTo, read_object};

/// Answer to the first of two confirmations of a change of the address.
const HALF: &str = "Confirmation link accepted. Please proceed to confirm link sent to the other email";

/// The query of a link.
#[derive(Debug, Deserialize)]
pub(super) struct Link {
    token: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
}

#[derive(Debug, Deserialize)]
struct VerifyBody {
    #[serde(rename = "type")]
    kind: Option<String>,
    token: Option<String>,
    token_hash: Option<String>,
    email: Option<String>,
    phone: Option<String>,
}

impl From<VerifyError> for Refusal {
    fn from(error: VerifyError) -> Self {
        let (status, code) = match error {
            VerifyError::Link | VerifyError::Code => (StatusCode::FORBIDDEN, "otp_expired"),
            VerifyError::Banned => (StatusCode::FORBIDDEN, "user_banned"),
            VerifyError::NoFlow => (StatusCode::BAD_REQUEST, "flow_state_not_found"),
            VerifyError::Write(error) => return error.into(),
            VerifyError::Fault(fault) => return fault.into(),
        };
        Self::new(status, code, error.to_string())
    }
}

/// What a link opens: a page whose button verifies, or the verification itself.
pub(super) async fn get(
    State(auth): State<Auth>,
    client: Client,
    RedirectTo(target): RedirectTo,
    Params(link): Params<Link>,
) -> Result<Response, Refusal> {
    let (token, kind) = link.parts()?;
    match auth.settings.verify_page {
        true => Ok(verify_page::show(client.language.as_deref())),
        false => follow(&auth, token, &kind, &target, &client).await,
    }
}

/// Programs that look where a link leads use nothing up.
pub(super) async fn head() -> Response {
    (StatusCode::OK, [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))]).into_response()
}

/// With the token in the query, the button of the page; else a client's JSON.
pub(super) async fn post(
    State(auth): State<Auth>,
    client: Client,
    RedirectTo(target): RedirectTo,
    Params(link): Params<Link>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    if link.token.is_some() {
        // A form on another site would sign its visitor in to somebody else's account, past the page.
        if auth.settings.verify_page && !is_own_form(&headers) {
            return Ok(verify_page::show(client.language.as_deref()));
        }
        let (token, kind) = link.parts()?;
        return follow(&auth, token, &kind, &target, &client).await;
    }
    let (proof, kind) = read_object::<VerifyBody>(&body)?.proof(&auth)?;
    auth.signin_limit.check(&client).await?;
    match verify(&auth, proof, kind, Answer::Session, &client).await? {
        Verified::Session(session) => Ok(session_answer(*session)),
        Verified::Half => Ok(Json(json!({ "msg": HALF, "code": "200" })).into_response()),
        Verified::Code(_) => Err(VerifyError::NoFlow.into()),
    }
}

/// Verifies, and redirects the browser with the result in the fragment, or with a code or an error in the query.
async fn follow(
    auth: &Auth,
    token: Secret,
    kind: &str,
    target: &str,
    client: &Client,
) -> Result<Response, Refusal> {
    auth.signin_limit.check(client).await?;
    let is_pkce = token.expose().starts_with(PKCE_PREFIX);
    let verified = match VerifyType::parse(kind).filter(|kind| !kind.is_of_phone()) {
        Some(kind) => {
            verify(auth, Proof::Link(token), kind, Answer::Redirect, client).await.map_err(Refusal::from)
        }
        None => Err(Refusal::validation("Invalid email verification type")),
    };
    let location = match verified {
        Ok(Verified::Session(session)) => with_fragment(target, &tokens(&session, kind)),
        Ok(Verified::Code(code)) => with_query(target, &[("code", code.expose().to_owned())]),
        Ok(Verified::Half) => with_message(target, HALF, is_pkce),
        Err(refusal) if refusal.status.is_server_error() => return Err(refusal),
        Err(refusal) => with_error(target, &refusal, is_pkce),
    };
    Ok(see_other(&location))
}

/// The location holds credentials: no caching, and no referrer to whatever comes next.
fn see_other(location: &str) -> Response {
    let location = HeaderValue::from_str(location).unwrap_or_else(|_| HeaderValue::from_static("/"));
    let headers = [
        (header::LOCATION, location),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (StatusCode::SEE_OTHER, headers).into_response()
}

fn tokens(session: &Session, kind: &str) -> Vec<(&'static str, String)> {
    vec![
        ("access_token", session.access_token.clone()),
        ("expires_at", session.expires_at.to_string()),
        ("expires_in", session.expires_in.to_string()),
        ("refresh_token", session.refresh_token.clone()),
        // By this, clients tell the fragment from one of the page's own.
        ("sb", String::new()),
        ("token_type", session.token_type.to_owned()),
        ("type", kind.to_owned()),
    ]
}

fn with_message(target: &str, message: &str, is_pkce: bool) -> String {
    let message = ("message", message.to_owned());
    let target = if is_pkce { with_query(target, std::slice::from_ref(&message)) } else { target.to_owned() };
    with_fragment(&target, &[message, ("sb", String::new())])
}

/// In the fragment, and for a sign-in with a code challenge also in the query, where its clients look.
fn with_error(target: &str, refusal: &Refusal, is_pkce: bool) -> String {
    let error = match refusal.status {
        StatusCode::BAD_REQUEST => Some("invalid_request"),
        StatusCode::FORBIDDEN => Some("access_denied"),
        _ => None,
    };
    let mut parameters: Vec<_> = error.into_iter().map(|error| ("error", error.to_owned())).collect();
    parameters.push(("error_code", refusal.code.to_owned()));
    parameters.push(("error_description", refusal.message.to_string()));
    let target = if is_pkce { with_query(target, &parameters) } else { target.to_owned() };
    parameters.push(("sb", String::new()));
    with_fragment(&target, &parameters)
}

fn with_fragment(target: &str, parameters: &[(&str, String)]) -> String {
    let target = target.split('#').next().unwrap_or_default();
    format!("{target}#{}", Serializer::new(String::new()).extend_pairs(parameters).finish())
}

fn with_query(target: &str, parameters: &[(&str, String)]) -> String {
    let (target, fragment) = target.split_once('#').map_or((target, None), |(a, b)| (a, Some(b)));
    let joint = if target.contains('?') { '&' } else { '?' };
    let query = Serializer::new(String::new()).extend_pairs(parameters).finish();
    let fragment = fragment.map(|fragment| format!("#{fragment}")).unwrap_or_default();
    format!("{target}{joint}{query}{fragment}")
}

impl Link {
    fn parts(self) -> Result<(Secret, String), Refusal> {
        let named = |text: Option<String>| text.filter(|text| !text.is_empty());
        let kind = named(self.kind).ok_or_else(no_type)?;
        let token = named(self.token)
            .ok_or_else(|| Refusal::validation("Verify requires a token or a token hash"))?;
        Ok((Secret::new(token), kind))
    }
}

fn no_type() -> Refusal {
    Refusal::validation("Verify requires a verification type")
}

impl VerifyBody {
    fn proof(self, auth: &Auth) -> Result<(Proof, VerifyType), Refusal> {
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let kind = given(self.kind).ok_or_else(no_type)?;
        let named = Named::of(self.email, self.phone);
        let (proof, is_of_phone) = match (given(self.token), given(self.token_hash), named) {
            (Some(code), None, Named::Email(email)) => {
                let address = policy::email(&email)?;
                (Proof::Code { address, code: Secret::new(code) }, false)
            }
            (Some(code), None, Named::Phone(phone)) => {
                phone::require_enabled(auth, "Phone logins are disabled")?;
                let address = Phone::parse(&phone)?.as_str().to_owned();
                (Proof::Code { address, code: Secret::new(code) }, true)
            }
            (Some(_), None, Named::Both | Named::Nothing) => {
                let message = "Only an email address or phone number should be provided on verify";
                return Err(Refusal::validation(message));
            }
            (None, Some(token), Named::Nothing) => (Proof::Link(Secret::new(token)), false),
            (None, Some(_), _) => {
                return Err(Refusal::validation("Only the token_hash and type should be provided"));
            }
            _ => return Err(Refusal::validation("Verify requires either a token or a token hash")),
        };
        let kind =
            VerifyType::parse(&kind).filter(|kind| !matches!(proof, Proof::Link(_)) || !kind.is_of_phone());
        let kind = kind.ok_or_else(|| Refusal::validation("Invalid email verification type"))?;
        // A code is looked up by what it was sent to: an address has none of the other kind.
        if kind.is_of_phone() == is_of_phone { Ok((proof, kind)) } else { Err(VerifyError::Code.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_in_the_fragment_and_with_a_code_challenge_also_in_the_query() {
        let refusal = Refusal::from(VerifyError::Link);
        let error = "error=access_denied&error_code=otp_expired&error_description=Email+link+is+invalid+or+has+expired";
        let plain = with_error("https://app.example/a?b=1#c", &refusal, false);
        assert_eq!(plain, format!("https://app.example/a?b=1#{error}&sb="));
        let pkce = with_error("https://app.example/a?b=1#c", &refusal, true);
        assert_eq!(pkce, format!("https://app.example/a?b=1&{error}#{error}&sb="));
    }

    #[test]
    fn codes_are_added_to_the_query() {
        let code = [("code", "x".to_owned())];
        assert_eq!(with_query("myapp://in?a=1", &code), "myapp://in?a=1&code=x");
        assert_eq!(with_query("https://app.example#top", &code), "https://app.example?code=x#top");
    }
}
