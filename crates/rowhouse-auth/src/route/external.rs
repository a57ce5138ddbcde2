//! GET and POST /callback.

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::StatusCode;
use url::form_urlencoded::{self, Serializer};

use super::browser::Browser;
use super::redirect::{error_of, redirect, with_code, with_error, with_session};
use crate::Auth;
use crate::flow::external::admit::AdmitError;
use crate::flow::external::begin::BeginError;
use crate::flow::external::callback::{self, Callback, CallbackError, Refused, Returned};
use crate::flow::external::find::FindError;
use crate::flow::external::link::LinkError;
use crate::refusal::Refusal;
use crate::request::Client;

/// Longest text of a provider that is passed on, in characters.
const LONGEST_ERROR: usize = 300;
/// What is read of a callback.
const FIELDS: [&str; 6] = ["state", "code", "error", "error_description", "iss", "user"];
/// Longest value of a form that is led on, in bytes.
const LONGEST_FIELD: usize = 2048;

pub(super) async fn callback(
    State(auth): State<Auth>,
    client: Client,
    browser: Browser,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    auth.refresh_limit.check(&client).await?;
    let sent = read(query.unwrap_or_default().as_bytes(), browser.known_digest());
    finish(&auth, sent, &client).await
}

/// Apple posts a form. From another site no cookie comes with a POST, but one comes with the GET to which it leads.
pub(super) async fn post_callback(form: Bytes) -> Result<Response, Refusal> {
    let known = |name: &str| FIELDS.contains(&name);
    let given = form_urlencoded::parse(&form);
    let given = given.filter(|(name, value)| known(name) && value.len() <= LONGEST_FIELD).take(FIELDS.len());
    let query = Serializer::new(String::new()).extend_pairs(given).finish();
    redirect(StatusCode::SEE_OTHER, &format!("?{query}")).ok_or_else(no_redirect)
}

fn read(form: &[u8], browser: Option<String>) -> Callback {
    let mut sent = Callback { browser, ..Callback::default() };
    for (name, value) in form_urlencoded::parse(form) {
        let field = match &*name {
            "state" => &mut sent.state,
            "code" => &mut sent.code,
            "error" => &mut sent.error,
            "error_description" => &mut sent.error_description,
            "iss" => &mut sent.issuer,
            "user" => &mut sent.user,
            _ => continue,
        };
        if field.is_empty() {
            *field = value.into_owned();
        }
    }
    sent
}

async fn finish(auth: &Auth, sent: Callback, client: &Client) -> Result<Response, Refusal> {
    let url = match callback::finish(auth, sent, client).await {
        Ok(Returned::Code { target, code }) => with_code(&target, &code),
        Ok(Returned::Session { target, session }) => with_session(&target, &session),
        Err(refused) => return refuse(auth, refused),
    };
    url.and_then(|url| redirect(StatusCode::FOUND, &url)).ok_or_else(no_redirect)
}

/// Errors are told to the page that began the flow; without one to the site.
fn refuse(auth: &Auth, Refused { target, error }: Refused) -> Result<Response, Refusal> {
    let status = if target.is_some() { StatusCode::FOUND } else { StatusCode::SEE_OTHER };
    let target = target.unwrap_or_else(|| auth.targets.choose([None, None]));
    let short = |text: &str| text.chars().take(LONGEST_ERROR).collect::<String>();
    if let CallbackError::Provider { error, description } = &error {
        let url = with_error(&target, (&short(error), "", &short(description)));
        return url.and_then(|url| redirect(status, &url)).ok_or_else(no_redirect);
    }
    let refusal = Refusal::from(error);
    if let (true, Some(cause)) = (refusal.status.is_server_error(), &refusal.cause) {
        tracing::warn!(error = %cause, code = refusal.code, "external sign-in failed");
    }
    let url = with_error(&target, (error_of(&refusal), refusal.code, &refusal.message));
    url.and_then(|url| redirect(status, &url)).ok_or(refusal)
}

/// The site's URL is none, so there is nowhere to go.
pub(super) fn no_redirect() -> Refusal {
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "unexpected_failure", "auth.site_url is not a URL")
}

impl From<FindError> for Refusal {
    fn from(error: FindError) -> Self {
        match error {
            FindError::Unknown(_) | FindError::Disabled => Self::validation(error.to_string()),
            FindError::Fault(fault) => fault.into(),
        }
    }
}

impl From<BeginError> for Refusal {
    fn from(error: BeginError) -> Self {
        let message = error.to_string();
        match error {
            BeginError::LinkingDisabled => linking_disabled(message),
            BeginError::UnknownLink => Self::new(StatusCode::BAD_REQUEST, "bad_oauth_state", message),
            BeginError::NotLive(error) => error.into(),
            BeginError::Find(error) => error.into(),
            BeginError::Provider(cause) => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "unexpected_failure", message).because(cause)
            }
            BeginError::Fault(fault) => fault.into(),
        }
    }
}

/// GoTrue has no such path then.
pub(super) fn linking_disabled(message: String) -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "manual_linking_disabled", message)
}

impl From<AdmitError> for Refusal {
    fn from(error: AdmitError) -> Self {
        use StatusCode as S;
        let message = error.to_string();
        match error {
            AdmitError::SignupDisabled => Self::new(S::UNPROCESSABLE_ENTITY, "signup_disabled", message),
            AdmitError::Banned => Self::new(S::FORBIDDEN, "user_banned", message),
            AdmitError::NoEmail => Self::new(S::INTERNAL_SERVER_ERROR, "unexpected_failure", message),
            AdmitError::Unverified(_) => {
                Self::new(S::UNPROCESSABLE_ENTITY, "provider_email_needs_verification", message)
            }
            AdmitError::Email(error) => error.into(),
            AdmitError::Write(error) => error.into(),
            AdmitError::Fault(fault) => fault.into(),
        }
    }
}

impl From<LinkError> for Refusal {
    fn from(error: LinkError) -> Self {
        let message = error.to_string();
        let (status, code) = match error {
            LinkError::NoSuchUser => (StatusCode::UNPROCESSABLE_ENTITY, "user_not_found"),
            LinkError::Banned => (StatusCode::FORBIDDEN, "user_banned"),
            LinkError::Linked | LinkError::LinkedToAnother => {
                (StatusCode::UNPROCESSABLE_ENTITY, "identity_already_exists")
            }
            LinkError::TooMany => (StatusCode::BAD_REQUEST, "validation_failed"),
            LinkError::Write(error) => return error.into(),
            LinkError::Fault(fault) => return fault.into(),
        };
        Self::new(status, code, message)
    }
}

impl From<CallbackError> for Refusal {
    fn from(error: CallbackError) -> Self {
        let message = error.to_string();
        let bad = |code| Self::new(StatusCode::BAD_REQUEST, code, message.clone());
        match error {
            CallbackError::NoState | CallbackError::NoCode | CallbackError::OtherIssuer => {
                bad("bad_oauth_callback")
            }
            CallbackError::OtherBrowser | CallbackError::UnknownState | CallbackError::Expired => {
                bad("bad_oauth_state")
            }
            CallbackError::Provider { .. } => bad("bad_oauth_callback"),
            CallbackError::Find(FindError::Fault(fault)) => fault.into(),
            CallbackError::Find(_) => bad("oauth_provider_not_supported"),
            CallbackError::Exchange(cause) | CallbackError::Profile(cause) => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "unexpected_failure", message).because(cause)
            }
            CallbackError::Admit(error) => error.into(),
            CallbackError::Link(error) => error.into(),
            CallbackError::Fault(fault) => fault.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn arbitrary_forms_of_a_callback_are_read_and_led_on(
            form in proptest::collection::vec(any::<u8>(), 0..200), name in "(state|code|error|iss|user|State)", value in "\\PC{0,60}",
        ) {
            let _ = read(&form, None);
            let pair = Serializer::new(String::new()).append_pair(&name, &value).append_pair(&name, "second").finish();
            let sent = read(pair.as_bytes(), None);
            let fields = [&sent.state, &sent.code, &sent.error, &sent.issuer, &sent.user];
            let is_first = fields.into_iter().filter(|field| !field.is_empty()).all(|field| *field == value || value.is_empty());
            prop_assert!(is_first, "{sent:?}");
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            for form in [form, pair.into_bytes()] {
                let led = runtime.block_on(post_callback(Bytes::from(form))).unwrap();
                let location = led.headers()[http::header::LOCATION].to_str().unwrap();
                prop_assert!(location.starts_with('?') && location.len() <= 6 * 3 * LONGEST_FIELD);
            }
        }
    }
}
