//! Everything that can end a request, with its one mapping to the wire (GoTrue's codes and messages).
//!
//! Leaves the two JSON dialects to `answer.rs`.

use std::borrow::Cow;
use std::time::Duration;

use http::StatusCode;
use rowhouse_crypto::password::HashError;
use rowhouse_crypto::{EnvelopeError, KeyError, TokenError};
use rowhouse_db::{DbError, TransactionError};

use crate::policy::WeakPassword;

/// Why an identity request was not fulfilled.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// A parameter is missing or malformed; the text says which.
    #[error("{0}")]
    Validation(Cow<'static, str>),
    /// The body is not the JSON that was expected.
    #[error("Could not parse request body as JSON: {0}")]
    BadJson(String),
    /// Wrong password or no such user: one answer for both.
    #[error("Invalid login credentials")]
    InvalidCredentials,
    /// `grant_type` names nothing that we do.
    #[error("unsupported_grant_type")]
    UnsupportedGrant,
    /// The password was right but the address is not confirmed.
    #[error("Email not confirmed")]
    EmailNotConfirmed,
    /// The password or refresh token was right but the user is banned.
    #[error("User is banned")]
    BannedAtDoor,
    /// No such refresh token.
    #[error("Invalid Refresh Token: Refresh Token Not Found")]
    RefreshTokenNotFound,
    /// A rotated token came back outside the reuse interval; the session has been ended.
    #[error("Invalid Refresh Token: Already Used")]
    RefreshTokenAlreadyUsed,
    /// The session is past its end.
    #[error("Invalid Refresh Token: Session Expired")]
    RefreshSessionExpired,
    /// No bearer where one is required.
    #[error("This endpoint requires a valid Bearer token")]
    NoAuthorization,
    /// A bearer that cannot be believed.
    #[error("invalid JWT: unable to parse or verify signature, {0}")]
    BadJwt(#[from] TokenError),
    /// A genuine token of nobody (an API key) where a user is required.
    #[error("invalid claim: missing sub claim")]
    MissingSubject,
    /// The token's session has been ended.
    #[error("Session from session_id claim in JWT does not exist")]
    SessionNotFound,
    /// The token's user is gone.
    #[error("User from sub claim in JWT does not exist")]
    UserNotFound,
    /// The token's user is banned.
    #[error("User is banned")]
    UserBanned,
    /// An administrator's endpoint, another role's token.
    #[error("User not allowed")]
    NotAdmin,
    /// The tenant does not exist, is not active, or the user is no active member: one answer for all.
    #[error("You are not an active member of this tenant")]
    NotAMember,
    /// An administrator named a user who does not exist.
    #[error("User not found")]
    NoSuchUser,
    /// The address belongs to another user.
    #[error("A user with this email address has already been registered")]
    EmailExists,
    /// The phone number belongs to another user.
    #[error("A user with this phone number has already been registered")]
    PhoneExists,
    /// Sign-up of an existing address where addresses are confirmed at once.
    #[error("User already registered")]
    UserAlreadyExists,
    /// New accounts are refused by configuration.
    #[error("Signups not allowed for this instance")]
    SignupDisabled,
    /// Sign-up without e-mail and phone.
    #[error("Anonymous sign-ins are disabled")]
    AnonymousDisabled,
    /// Anything with a phone number.
    #[error("Phone logins are disabled")]
    PhoneDisabled,
    /// The new password is the old one.
    #[error("New password should be different from the old password.")]
    SamePassword,
    /// The password does not satisfy the policy.
    #[error("{}", .0.message)]
    WeakPassword(WeakPassword),
    /// Too many requests from the address, or too many failures on the account.
    #[error("Request rate limit reached")]
    RateLimited {
        /// When to try again.
        retry_after: Duration,
    },
    /// Too many passwords wait to be hashed.
    #[error("Too many sign-ins at once, try again shortly")]
    Busy,
    /// The body exceeds `auth.max_body_bytes`.
    #[error("Request body is too large")]
    TooLarge,
    /// No such path.
    #[error("Not Found")]
    NoRoute,
    /// The path knows other methods.
    #[error("Method Not Allowed")]
    WrongMethod,
    /// The database's part.
    #[error(transparent)]
    Db(#[from] DbError),
    /// A key could not be made, loaded or used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A password could not be hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// The configuration lacks something, or a stored row makes no sense.
    #[error("{0}")]
    Internal(String),
}

impl From<tokio_postgres::Error> for AuthError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Db(error.into())
    }
}

impl From<EnvelopeError> for AuthError {
    fn from(error: EnvelopeError) -> Self {
        Self::Key(error.into())
    }
}

impl TransactionError for AuthError {
    fn database(&self) -> Option<&DbError> {
        match self {
            Self::Db(error) => Some(error),
            _ => None,
        }
    }
}

/// A status with GoTrue's code for it.
pub(crate) type Code = (StatusCode, &'static str);

impl AuthError {
    /// Status and code.
    pub(crate) fn code(&self) -> Code {
        use StatusCode as S;
        match self {
            Self::Validation(_) => (S::BAD_REQUEST, "validation_failed"),
            Self::BadJson(_) => (S::BAD_REQUEST, "bad_json"),
            Self::InvalidCredentials | Self::UnsupportedGrant => (S::BAD_REQUEST, "invalid_credentials"),
            Self::EmailNotConfirmed => (S::BAD_REQUEST, "email_not_confirmed"),
            Self::BannedAtDoor => (S::BAD_REQUEST, "user_banned"),
            Self::RefreshTokenNotFound => (S::BAD_REQUEST, "refresh_token_not_found"),
            Self::RefreshTokenAlreadyUsed => (S::BAD_REQUEST, "refresh_token_already_used"),
            Self::RefreshSessionExpired => (S::BAD_REQUEST, "session_expired"),
            Self::PhoneDisabled => (S::BAD_REQUEST, "phone_provider_disabled"),
            Self::NoAuthorization => (S::UNAUTHORIZED, "no_authorization"),
            Self::BadJwt(_) | Self::MissingSubject => (S::FORBIDDEN, "bad_jwt"),
            Self::SessionNotFound => (S::FORBIDDEN, "session_not_found"),
            Self::UserNotFound => (S::FORBIDDEN, "user_not_found"),
            Self::UserBanned => (S::FORBIDDEN, "user_banned"),
            Self::NotAdmin => (S::FORBIDDEN, "not_admin"),
            Self::NotAMember => (S::FORBIDDEN, "tenant_access_denied"),
            Self::NoSuchUser => (S::NOT_FOUND, "user_not_found"),
            Self::NoRoute => (S::NOT_FOUND, "not_found"),
            Self::WrongMethod => (S::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::TooLarge => (S::PAYLOAD_TOO_LARGE, "request_entity_too_large"),
            Self::EmailExists => (S::UNPROCESSABLE_ENTITY, "email_exists"),
            Self::PhoneExists => (S::UNPROCESSABLE_ENTITY, "phone_exists"),
            Self::UserAlreadyExists => (S::UNPROCESSABLE_ENTITY, "user_already_exists"),
            Self::SignupDisabled => (S::UNPROCESSABLE_ENTITY, "signup_disabled"),
            Self::AnonymousDisabled => (S::UNPROCESSABLE_ENTITY, "anonymous_provider_disabled"),
            Self::SamePassword => (S::UNPROCESSABLE_ENTITY, "same_password"),
            Self::WeakPassword(_) => (S::UNPROCESSABLE_ENTITY, "weak_password"),
            Self::RateLimited { .. } => (S::TOO_MANY_REQUESTS, "over_request_rate_limit"),
            Self::Busy => (S::SERVICE_UNAVAILABLE, "over_request_rate_limit"),
            Self::Db(error) => database_code(error),
            Self::Key(_) | Self::Hash(_) | Self::Internal(_) => {
                (S::INTERNAL_SERVER_ERROR, "unexpected_failure")
            }
        }
    }

    /// What the caller is told; inner workings stay in the log.
    pub(crate) fn public_message(&self) -> String {
        match self {
            Self::Db(DbError::Unavailable(_)) => "Database is unavailable, try again shortly".to_owned(),
            Self::Db(DbError::PoolTimeout(_)) => "Processing this request timed out, please retry".to_owned(),
            Self::Db(DbError::Refused(error)) if is_data_fault(&error.code) => error.message.clone(),
            Self::Db(_) => "Database error".to_owned(),
            Self::Key(_) | Self::Hash(_) | Self::Internal(_) => "Unexpected failure".to_owned(),
            told => told.to_string(),
        }
    }

    /// When a client may try again, if waiting helps.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after } => Some(*retry_after),
            Self::Busy | Self::Db(DbError::Unavailable(_) | DbError::PoolTimeout(_)) => {
                Some(Duration::from_secs(1))
            }
            _ => None,
        }
    }
}

fn database_code(error: &DbError) -> Code {
    match error {
        DbError::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "unexpected_failure"),
        DbError::PoolTimeout(_) => (StatusCode::GATEWAY_TIMEOUT, "request_timeout"),
        DbError::Refused(error) if is_data_fault(&error.code) => {
            (StatusCode::BAD_REQUEST, "validation_failed")
        }
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "unexpected_failure"),
    }
}

/// Class 22: the value sent cannot be stored, for example text with NUL in it.
fn is_data_fault(sqlstate: &str) -> bool {
    sqlstate.starts_with("22")
}
