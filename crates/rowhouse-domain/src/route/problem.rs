//! Refusals as problem details.

use http::StatusCode;
use rowhouse_http::api::Problem;

use crate::error::DomainError;

impl From<DomainError> for Problem {
    fn from(error: DomainError) -> Self {
        let text = error.to_string();
        let with = |status, code| Self::new(status, code, text.clone());
        match error {
            DomainError::Denied(_) | DomainError::OperatorsOnly => Self::forbidden("forbidden", text),
            DomainError::BeyondOwn(_) => Self::forbidden("beyond_own_permissions", text),
            DomainError::Missing(_) => Self::not_found(text),
            DomainError::Name(_) | DomainError::JoiningOwner => Self::invalid(text),
            DomainError::Reserved => with(StatusCode::UNPROCESSABLE_ENTITY, "domain_reserved"),
            DomainError::NoCode => with(StatusCode::UNPROCESSABLE_ENTITY, "code_required"),
            DomainError::NoSuchRole => with(StatusCode::UNPROCESSABLE_ENTITY, "no_such_role"),
            DomainError::Verified => with(StatusCode::CONFLICT, "domain_verified"),
            DomainError::Taken => with(StatusCode::CONFLICT, "domain_taken"),
            DomainError::TooMany(_) => with(StatusCode::CONFLICT, "too_many"),
            DomainError::TooSoon(wait) => with(StatusCode::TOO_MANY_REQUESTS, "too_soon").after(wait),
            DomainError::TooManyLetters(_, wait) => {
                with(StatusCode::TOO_MANY_REQUESTS, "too_many_letters").after(wait)
            }
            DomainError::NoMail => with(StatusCode::SERVICE_UNAVAILABLE, "mail_unavailable"),
            DomainError::Mail(error) => {
                tracing::error!(%error, "a letter about a domain could not be written");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "mail_unavailable",
                    "the letter could not be written",
                )
            }
            DomainError::Db(error) => error.into(),
        }
    }
}
