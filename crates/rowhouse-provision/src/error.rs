//! Why a step is not done, or taken back.

use rowhouse_db::{DbError, TransactionError};
use rowhouse_jobs::JobError;
use rowhouse_mail::MailError;

/// Why a step has failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    /// It may succeed later.
    #[error("{0}")]
    Retry(String),
    /// It never will.
    #[error("{0}")]
    Fatal(String),
    /// The run has ended meanwhile, or is being rolled back.
    #[error("the run has ended")]
    Stopped,
    /// The database's part; it may succeed later.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<tokio_postgres::Error> for StepError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Db(error.into())
    }
}

impl From<MailError> for StepError {
    fn from(error: MailError) -> Self {
        match error {
            MailError::Db(error) => Self::Db(error),
            error => Self::Retry(error.to_string()),
        }
    }
}

impl From<JobError> for StepError {
    fn from(error: JobError) -> Self {
        match error {
            JobError::Fatal(why) => Self::Fatal(why),
            error => Self::Retry(error.to_string()),
        }
    }
}

impl TransactionError for StepError {
    fn database(&self) -> Option<&DbError> {
        match self {
            Self::Db(error) => Some(error),
            _ => None,
        }
    }
}
