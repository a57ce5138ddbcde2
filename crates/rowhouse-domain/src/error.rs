//! Why something about a domain is not done. Leaves the answers over HTTP to `route`.

use std::time::Duration;

use rowhouse_db::{DbError, TransactionError};
use rowhouse_mail::MailError;
use rowhouse_tenancy::permission::{Permission, PermissionError};

use crate::name::NameError;

/// Why something is not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DomainError {
    /// The caller lacks the permission, or there is no such thing.
    #[error("this needs the permission {}", .0.as_str())]
    Denied(Permission),
    /// No role in an organization or tenant would help.
    #[error("this is for operators")]
    OperatorsOnly,
    /// There is no such thing; only for callers who may see everything.
    #[error("there is no such {0}")]
    Missing(&'static str),
    /// The name of no domain that somebody can own.
    #[error("name: {0}")]
    Name(#[from] NameError),
    /// A host of this installation.
    #[error("name: this is a host of this installation")]
    Reserved,
    /// It is verified already.
    #[error("the domain is verified already; release it to prove it in another way")]
    Verified,
    /// Another owner has it.
    #[error("the domain is verified by another owner; it becomes free when their proof has gone")]
    Taken,
    /// As many as an owner may name.
    #[error("there are {0} domains, as many as there may be")]
    TooMany(u32),
    /// It was looked for a moment ago.
    #[error("the proof was looked for a moment ago")]
    TooSoon(Duration),
    /// Enough letters.
    #[error("enough letters have gone {0} within a day; try again later")]
    TooManyLetters(&'static str, Duration),
    /// A letter's proof is its code.
    #[error("code: enter the code of the letter to the postmaster")]
    NoCode,
    /// No letters can be written.
    #[error("letters cannot be written here; choose another proof")]
    NoMail,
    /// The organization has no role of this name.
    #[error("the organization has no such role")]
    NoSuchRole,
    /// Nobody joins as an owner.
    #[error("auto_join_role: nobody becomes owner by joining")]
    JoiningOwner,
    /// The role has a permission that the caller lacks.
    #[error("the role has the permission {0}, which you lack")]
    BeyondOwn(String),
    /// A letter could not be written.
    #[error(transparent)]
    Mail(MailError),
    /// The database's part.
    #[error(transparent)]
    Db(DbError),
}

impl From<PermissionError> for DomainError {
    fn from(error: PermissionError) -> Self {
        match error {
            PermissionError::Denied(permission) => Self::Denied(permission),
            PermissionError::OperatorsOnly => Self::OperatorsOnly,
            PermissionError::Db(error) => Self::Db(error),
        }
    }
}

impl From<MailError> for DomainError {
    fn from(error: MailError) -> Self {
        match error {
            MailError::Db(error) => Self::Db(error),
            error => Self::Mail(error),
        }
    }
}

impl From<DbError> for DomainError {
    fn from(error: DbError) -> Self {
        let DbError::Refused(refused) = &error else { return Self::Db(error) };
        match (refused.code.as_str(), refused.constraint.as_deref().unwrap_or_default()) {
            ("23503", "roles_organization_id_name_key") => Self::NoSuchRole,
            // Somebody has verified it at the same moment by hand.
            (
                "23505",
                "claims_name_of_tenant_key"
                | "claims_name_of_organization_key"
                | "organization_domains_domain_key",
            ) => Self::Taken,
            _ => Self::Db(error),
        }
    }
}

impl From<tokio_postgres::Error> for DomainError {
    fn from(error: tokio_postgres::Error) -> Self {
        DbError::from(error).into()
    }
}

impl TransactionError for DomainError {
    fn database(&self) -> Option<&DbError> {
        match self {
            Self::Db(error) => Some(error),
            _ => None,
        }
    }
}
