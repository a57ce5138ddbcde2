//! Why an invitation is not made, sent or accepted. Leaves the answers over HTTP to `route`.

use std::time::Duration;

use rowhouse_db::{DbError, TransactionError};
use rowhouse_mail::MailError;

use crate::error::TenancyError;

/// Why something is not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvitationError {
    /// No invitation has this id, or its newest letter no such token.
    #[error("there is no such invitation; a newer letter replaces the link of the former")]
    NotFound,
    /// It could be accepted until now.
    #[error("the invitation has expired; ask for another one")]
    Expired,
    /// It was taken back, or who sent it may not give what it offers any more.
    #[error("the invitation was taken back")]
    Revoked,
    /// It has been accepted.
    #[error("the invitation has been accepted already")]
    Used,
    /// The caller has another address.
    #[error("the invitation is for another address than that of your account")]
    WrongAddress,
    /// The caller has not proved to own the address.
    #[error("confirm the address of your account first")]
    Unconfirmed,
    /// The organization is suspended, cancelled or deleted.
    #[error("the organization is closed")]
    OrganizationClosed,
    /// Only users accept invitations.
    #[error("a user accepts an invitation, with the access token of a session")]
    NoUser,
    /// The address has an invitation to this organization that can be accepted.
    #[error("the address is invited already; send that invitation again")]
    IsInvited,
    /// A letter was sent just now.
    #[error("the letter was sent less than {} seconds ago", .0.as_secs())]
    TooSoon(Duration),
    /// Its letter was sent too often.
    #[error("the letter was sent too often; take the invitation back and make another one")]
    ResentTooOften,
    /// Too many letters.
    #[error("too many invitations were sent {0}; try again later")]
    TooManyLetters(&'static str, Duration),
    /// The organization has too many invitations that can be accepted.
    #[error("the organization has {0} invitations that were not accepted yet, as many as it may")]
    TooManyPending(u32),
    /// No letters can be written.
    #[error("no letter could be written")]
    NoLetter(String),
    /// What holds for all of the tree.
    #[error(transparent)]
    Tenancy(TenancyError),
}

impl From<TenancyError> for InvitationError {
    fn from(error: TenancyError) -> Self {
        let TenancyError::Db(DbError::Refused(refused)) = &error else { return Self::Tenancy(error) };
        match refused.constraint.as_deref() {
            Some("invitations_organization_id_email_key") => Self::IsInvited,
            _ => Self::Tenancy(error),
        }
    }
}

impl From<DbError> for InvitationError {
    fn from(error: DbError) -> Self {
        TenancyError::from(error).into()
    }
}

impl From<MailError> for InvitationError {
    fn from(error: MailError) -> Self {
        match error {
            MailError::Db(error) => error.into(),
            MailError::Invalid(why) => Self::Tenancy(TenancyError::Invalid(why)),
            other => Self::NoLetter(other.to_string()),
        }
    }
}

impl TransactionError for InvitationError {
    fn database(&self) -> Option<&DbError> {
        match self {
            Self::Tenancy(error) => error.database(),
            _ => None,
        }
    }
}
