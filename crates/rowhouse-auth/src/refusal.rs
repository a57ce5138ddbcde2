//! Error responses as GoTrue has them: status, code, message. Each flow's error is converted next to its route; here
//! are those that several flows share. Leaves the two JSON formats to `answer.rs`.

use std::borrow::Cow;
use std::error::Error;
use std::time::Duration;

use http::StatusCode;
use rowhouse_db::DbError;

use crate::fault::Fault;
use crate::fault::HookError;
use crate::letter_limit::TooManyLetters;
use crate::limit::TooManyRequests;
use crate::live::NotLive;
use crate::metadata::MetadataError;
use crate::pkce::PkceError;
use crate::policy::{EmailError, PasswordError};
use crate::request::{CallerError, InputError};
use crate::store::user_change::WriteError;

/// Retry-After in case of overload.
const SHORTLY: Duration = Duration::from_secs(1);

/// An error for the client, and its cause for the log.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// GoTrue's `error_code`.
    pub(crate) code: &'static str,
    pub(crate) message: Cow<'static, str>,
    /// When to retry, if that helps.
    pub(crate) retry_after: Option<Duration>,
    /// Why a password is too weak.
    pub(crate) weak_reasons: Option<Vec<&'static str>>,
    /// Never shown to the client.
    pub(crate) cause: Option<Box<dyn Error + Send + Sync>>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, message: message.into(), retry_after: None, weak_reasons: None, cause: None }
    }

    /// `validation_failed`: a parameter is missing or malformed.
    pub(crate) fn validation(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "validation_failed", message)
    }

    /// No such path.
    pub(crate) fn no_route() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "Not Found")
    }

    /// The path does not support the method.
    pub(crate) fn wrong_method() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "Method Not Allowed")
    }

    pub(crate) fn retry_after(self, retry_after: Duration) -> Self {
        Self { retry_after: Some(retry_after), ..self }
    }

    pub(crate) fn because(self, cause: impl Error + Send + Sync + 'static) -> Self {
        Self { cause: Some(Box::new(cause)), ..self }
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        use StatusCode as S;
        const UNEXPECTED: &str = "unexpected_failure";
        let answer = match &fault {
            Fault::Db(DbError::Unavailable(_)) => {
                Self::new(S::SERVICE_UNAVAILABLE, UNEXPECTED, "Database is unavailable, try again shortly")
                    .retry_after(SHORTLY)
            }
            Fault::Db(DbError::PoolTimeout(_) | DbError::ShareTimeout(_)) => {
                let message = "Processing this request timed out, please retry";
                Self::new(S::GATEWAY_TIMEOUT, "request_timeout", message).retry_after(SHORTLY)
            }
            Fault::Db(DbError::Refused(error)) if is_data_fault(&error.code) => {
                Self::validation(error.message.clone())
            }
            Fault::Db(_) => Self::new(S::INTERNAL_SERVER_ERROR, UNEXPECTED, "Database error"),
            Fault::Busy => {
                let message = "Too many sign-ins at once, try again shortly";
                Self::new(S::SERVICE_UNAVAILABLE, "over_request_rate_limit", message).retry_after(SHORTLY)
            }
            Fault::NoMail => {
                let message = "This server sends no mail";
                Self::new(S::UNPROCESSABLE_ENTITY, "email_provider_disabled", message)
            }
            Fault::Copy(_) => Self::new(S::SERVICE_UNAVAILABLE, UNEXPECTED, fault.to_string()),
            Fault::Hook(error) => hook_refusal(error),
            Fault::Key(_)
            | Fault::Envelope(_)
            | Fault::Hash(_)
            | Fault::HashTask(_)
            | Fault::Json(_)
            | Fault::Letter(_)
            | Fault::Vanished => Self::new(S::INTERNAL_SERVER_ERROR, UNEXPECTED, "Unexpected failure"),
        };
        answer.because(fault)
    }
}

/// What a hook says is for the client; why it fails is for the log, as its cause.
fn hook_refusal(error: &HookError) -> Refusal {
    use StatusCode as S;
    let (status, code) = match error {
        HookError::Refused { status, message } => {
            return Refusal::new(*status, code_of(*status), message.clone());
        }
        HookError::Timeout(_) => (S::UNPROCESSABLE_ENTITY, "hook_timeout"),
        HookError::Unreachable => (S::UNPROCESSABLE_ENTITY, "hook_timeout_after_retry"),
        HookError::TooLong => (S::UNPROCESSABLE_ENTITY, "hook_payload_over_size_limit"),
        HookError::Broken(_) => {
            return Refusal::new(S::INTERNAL_SERVER_ERROR, "unexpected_failure", "Error running hook");
        }
    };
    Refusal::new(status, code, error.to_string())
}

/// The code of an error that a hook has made up: GoTrue gives those of its own only.
fn code_of(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_REQUEST => "validation_failed",
        StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => "no_authorization",
        StatusCode::CONFLICT => "conflict",
        StatusCode::TOO_MANY_REQUESTS => "over_request_rate_limit",
        _ => "unexpected_failure",
    }
}

/// Class 22: the value cannot be stored, for example a string with NUL.
fn is_data_fault(sqlstate: &str) -> bool {
    sqlstate.starts_with("22")
}

impl From<EmailError> for Refusal {
    fn from(error: EmailError) -> Self {
        let code = match error {
            EmailError::NotAuthorized => "email_address_not_authorized",
            EmailError::Missing | EmailError::TooLong | EmailError::Malformed => "validation_failed",
        };
        Self::new(StatusCode::BAD_REQUEST, code, error.to_string())
    }
}

impl From<PasswordError> for Refusal {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::TooLong => Self::validation(error.to_string()),
            PasswordError::Weak(weak) => Self {
                weak_reasons: Some(weak.reasons),
                ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "weak_password", weak.message)
            },
            PasswordError::Unchecked(error) => {
                let message = "Failed to perform password strength check";
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "unexpected_failure", message).because(error)
            }
        }
    }
}

impl From<PkceError> for Refusal {
    fn from(error: PkceError) -> Self {
        Self::validation(error.to_string())
    }
}

impl From<MetadataError> for Refusal {
    fn from(error: MetadataError) -> Self {
        Self::validation(error.to_string())
    }
}

impl From<WriteError> for Refusal {
    fn from(error: WriteError) -> Self {
        let code = match error {
            WriteError::EmailTaken => "email_exists",
            WriteError::PhoneTaken => "phone_exists",
            WriteError::IdTaken => return Self::validation(error.to_string()),
            WriteError::Fault(fault) => return fault.into(),
        };
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, error.to_string())
    }
}

impl From<TooManyRequests> for Refusal {
    fn from(TooManyRequests { retry_after }: TooManyRequests) -> Self {
        let message = "Request rate limit reached";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "over_request_rate_limit", message).retry_after(retry_after)
    }
}

impl From<TooManyLetters> for Refusal {
    fn from(error: TooManyLetters) -> Self {
        let code = "over_email_send_rate_limit";
        Self::new(StatusCode::TOO_MANY_REQUESTS, code, error.to_string()).retry_after(error.retry_after)
    }
}

impl From<NotLive> for Refusal {
    fn from(error: NotLive) -> Self {
        let code = match error {
            NotLive::UserNotFound => "user_not_found",
            NotLive::SessionNotFound => "session_not_found",
            NotLive::UserBanned => "user_banned",
            NotLive::NeedsAal2 => {
                return Self::new(StatusCode::UNAUTHORIZED, "insufficient_aal", error.to_string());
            }
        };
        Self::new(StatusCode::FORBIDDEN, code, error.to_string())
    }
}

impl From<CallerError> for Refusal {
    fn from(error: CallerError) -> Self {
        let (status, code) = match error {
            CallerError::NoAuthorization => (StatusCode::UNAUTHORIZED, "no_authorization"),
            CallerError::BadJwt(_) | CallerError::MissingSubject => (StatusCode::FORBIDDEN, "bad_jwt"),
            CallerError::ForeignSubject => (StatusCode::BAD_REQUEST, "bad_jwt"),
            CallerError::NotAdmin => (StatusCode::FORBIDDEN, "not_admin"),
            CallerError::Delegated | CallerError::Impersonated => {
                (StatusCode::FORBIDDEN, "insufficient_scope")
            }
        };
        Self::new(status, code, error.to_string())
    }
}

impl From<InputError> for Refusal {
    fn from(error: InputError) -> Self {
        let message = error.to_string();
        match error {
            InputError::Query(_) => Self::validation(message),
            InputError::Json(_) | InputError::Unread => {
                Self::new(StatusCode::BAD_REQUEST, "bad_json", message)
            }
            InputError::TooLarge => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "request_entity_too_large", message)
            }
        }
    }
}
