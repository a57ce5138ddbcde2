//! Refusals as problem details.

use http::StatusCode;
use rowhouse_http::api::Problem;

use crate::flow::account::AccountError;
use crate::flow::bulk::BulkError;
use crate::flow::impersonation::ActingError;

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Self {
        let text = error.to_string();
        match error {
            AccountError::Missing => Self::not_found(text),
            AccountError::Own => Self::new(StatusCode::CONFLICT, "own_account", text),
            AccountError::Operator => Self::forbidden("operator", text),
            AccountError::Invalid(_) => Self::invalid(text),
            AccountError::Power(error) => error.into(),
            AccountError::Db(error) => error.into(),
        }
    }
}

impl From<BulkError> for Problem {
    fn from(error: BulkError) -> Self {
        let text = error.to_string();
        match error {
            BulkError::NotFound => Self::not_found(text),
            BulkError::WrongState(_) => Self::new(StatusCode::CONFLICT, "wrong_state", text),
            BulkError::Invalid(_) => Self::invalid(text),
            BulkError::Power(error) => error.into(),
            BulkError::Db(error) => error.into(),
        }
    }
}

impl From<ActingError> for Problem {
    fn from(error: ActingError) -> Self {
        let text = error.to_string();
        let conflict = |code| Self::new(StatusCode::CONFLICT, code, text.clone());
        match error {
            ActingError::NoSuchUser | ActingError::NoSuchCode | ActingError::NotFound => {
                Self::not_found(text)
            }
            ActingError::NotOpen => conflict("user_closed"),
            ActingError::NotAMember => conflict("not_a_member"),
            ActingError::Running => conflict("impersonation_running"),
            ActingError::Privileged => Self::forbidden("privileged_user", text),
            ActingError::Invalid(_) => Self::invalid(text),
            ActingError::Power(error) => error.into(),
            ActingError::Db(error) => error.into(),
            ActingError::Sign(why) => {
                tracing::error!(why, "the session of an impersonation got no tokens");
                Self::internal()
            }
        }
    }
}
