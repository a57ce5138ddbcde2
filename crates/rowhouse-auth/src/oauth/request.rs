//! Requests for authorization (RFC 6749 section 4.1.1, RFC 7636, RFC 8707, OpenID Connect Core section 3.1.2.1).

use url::Url;

use super::parameter::{Parameters, Repeated};
use crate::oauth_scope::{Scope, Scopes};
use crate::pkce::{Challenge, ChallengeMethod, PkceError};

/// Characters; what the application sends is stored until the user has decided.
const LONGEST_STATE: usize = 4096;
const LONGEST_RESOURCE: usize = 2048;
const LONGEST_NONCE: usize = 255;

/// Why the application is answered with an error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RequestError {
    #[error(transparent)]
    Repeated(#[from] Repeated),
    #[error("only response_type=code is supported")]
    ResponseType,
    #[error("only response_mode=query is supported")]
    ResponseMode,
    #[error("supported scopes are {}", Scope::ALL.map(Scope::as_str).join(", "))]
    Scope,
    #[error("resource must be an absolute URI without fragment and query")]
    Resource,
    #[error("{0}")]
    Pkce(PkceError),
    /// A plain challenge protects nothing once the request is seen.
    #[error("code_challenge_method must be 'S256'")]
    PlainChallenge,
    #[error("state is longer than {LONGEST_STATE} characters, or has control characters")]
    State,
    #[error("nonce is longer than {LONGEST_NONCE} characters, or has control characters")]
    Nonce,
    #[error("the user has to be asked")]
    Interaction,
    #[error("request objects are not supported")]
    RequestObject,
    #[error("request objects by reference are not supported")]
    RequestUri,
}

impl RequestError {
    /// The code for the application.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::ResponseType => "unsupported_response_type",
            Self::Scope => "invalid_scope",
            Self::Resource => "invalid_target",
            Self::Interaction => "interaction_required",
            Self::RequestObject => "request_not_supported",
            Self::RequestUri => "request_uri_not_supported",
            Self::Repeated(_)
            | Self::ResponseMode
            | Self::Pkce(_)
            | Self::PlainChallenge
            | Self::State
            | Self::Nonce => "invalid_request",
        }
    }
}

/// What an application asks for.
#[derive(Debug)]
pub(crate) struct AuthorizationRequest {
    pub(crate) scopes: Scopes,
    pub(crate) state: Option<String>,
    pub(crate) resource: Option<String>,
    pub(crate) challenge: Challenge,
    pub(crate) nonce: Option<String>,
}

impl AuthorizationRequest {
    /// Reads what comes beside `client_id` and `redirect_uri`.
    pub(crate) fn read(sent: &Parameters, default_scope: &str) -> Result<Self, RequestError> {
        let text = |name: &'static str| Ok::<_, Repeated>(sent.one(name)?.map(str::to_owned));
        require(sent.one("response_type")?.is_none_or(|kind| kind == "code"), RequestError::ResponseType)?;
        require(sent.one("response_mode")?.is_none_or(|mode| mode == "query"), RequestError::ResponseMode)?;
        require(sent.one("request")?.is_none(), RequestError::RequestObject)?;
        require(sent.one("request_uri")?.is_none(), RequestError::RequestUri)?;
        // The consent page belongs to the project, so nobody here knows whether it would have to ask.
        require(sent.one("prompt")? != Some("none"), RequestError::Interaction)?;
        let scopes = Scopes::parse(sent.one("scope")?.unwrap_or(default_scope)).ok_or(RequestError::Scope)?;
        let (state, nonce, resource) = (text("state")?, text("nonce")?, text("resource")?);
        require(state.as_deref().is_none_or(|state| is_plain(state, LONGEST_STATE)), RequestError::State)?;
        require(nonce.as_deref().is_none_or(|nonce| is_plain(nonce, LONGEST_NONCE)), RequestError::Nonce)?;
        require(resource.as_deref().is_none_or(is_resource), RequestError::Resource)?;
        Ok(Self { scopes, state, resource, challenge: challenge(sent)?, nonce })
    }
}

fn require(holds: bool, error: RequestError) -> Result<(), RequestError> {
    if holds { Ok(()) } else { Err(error) }
}

fn is_plain(text: &str, longest: usize) -> bool {
    text.chars().count() <= longest && !text.chars().any(char::is_control)
}

fn is_resource(text: &str) -> bool {
    let parsed = Url::parse(text).ok().filter(|_| is_plain(text, LONGEST_RESOURCE));
    parsed.is_some_and(|url| url.fragment().is_none() && url.query().is_none())
}

fn challenge(sent: &Parameters) -> Result<Challenge, RequestError> {
    let read = Challenge::read(sent.one("code_challenge")?, sent.one("code_challenge_method")?);
    let challenge = read.and_then(|given| given.ok_or(PkceError::Incomplete)).map_err(RequestError::Pkce)?;
    require(challenge.method == ChallengeMethod::S256, RequestError::PlainChallenge)?;
    Ok(challenge)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PKCE: &str =
        "code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";

    fn read(query: &str) -> Result<AuthorizationRequest, RequestError> {
        AuthorizationRequest::read(&Parameters::of_form(query.as_bytes()), "email")
    }

    fn refused(query: &str) -> &'static str {
        read(query).unwrap_err().code()
    }

    #[test]
    fn scope_has_a_default() {
        let request = read(PKCE).unwrap();
        assert_eq!(request.scopes.to_string(), "email");
        assert_eq!(request.state, None);
    }

    #[test]
    fn what_is_not_supported_is_named() {
        let with = |more: &str| refused(&format!("{PKCE}&{more}"));
        assert_eq!(with("response_type=token"), "unsupported_response_type");
        assert_eq!(with("response_mode=fragment"), "invalid_request");
        assert_eq!(with("scope=admin"), "invalid_scope");
        assert_eq!(with("resource=shop"), "invalid_target");
        assert_eq!(with("resource=https://a.example/%23b"), "invalid_target");
        assert_eq!(with("prompt=none"), "interaction_required");
        assert_eq!(with("request=x"), "request_not_supported");
        assert_eq!(with("request_uri=x"), "request_uri_not_supported");
        assert_eq!(with("state=a&state=b"), "invalid_request");
        assert_eq!(with("state=a%00b"), "invalid_request");
        assert_eq!(with(&format!("state={}", "x".repeat(4097))), "invalid_request");
        assert_eq!(with(&format!("nonce={}", "x".repeat(256))), "invalid_request");
        assert_eq!(refused(""), "invalid_request");
        assert_eq!(refused(&PKCE.replace("S256", "plain")), "invalid_request");
    }
}
