//! The handler of `mail.write`: composes a mail that was requested from SQL. The draft is replaced by the mail in one
//! transaction, so that repeated runs of the job make one mail.

use rowhouse_db::Transaction;
use rowhouse_db::{Control, DbError, TransactionError};
use rowhouse_jobs::{Handler, HandlerFuture, Job, JobError, JobKind, JobResult, Registry};
use rowhouse_kernel::{Operation, TenantId};
use serde_json::{Value, json};

use crate::error::MailError;
use crate::mailer::Mailer;
use crate::request;
use crate::template::TemplateError;

/// Composes mails requested from SQL. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Drafts {
    mailer: Mailer,
    control: Control,
}

/// Why a draft could not become a mail.
#[derive(Debug, thiserror::Error)]
enum DraftError {
    #[error(transparent)]
    Mail(#[from] MailError),
    #[error(transparent)]
    Template(#[from] TemplateError),
}

impl From<DbError> for DraftError {
    fn from(error: DbError) -> Self {
        Self::Mail(MailError::Db(error))
    }
}

impl TransactionError for DraftError {
    fn database(&self) -> Option<&DbError> {
        match self {
            Self::Mail(error) => error.database(),
            Self::Template(_) => None,
        }
    }
}

impl From<DraftError> for JobError {
    fn from(failure: DraftError) -> Self {
        let why = failure.to_string();
        match failure {
            // Not worth a retry: the cause is in the draft or a template. After a correction the job can be run again
            // by hand.
            DraftError::Template(_)
            | DraftError::Mail(
                MailError::Invalid(_)
                | MailError::NotAllowed(_)
                | MailError::Revoked
                | MailError::TooLarge { .. },
            ) => Self::Fatal(why),
            DraftError::Mail(_) => Self::Retry(why),
        }
    }
}

impl Drafts {
    /// Composes with `mailer`.
    #[must_use]
    pub fn new(mailer: Mailer, control: Control) -> Self {
        Self { mailer, control }
    }

    /// The kind `mail.write`.
    #[must_use]
    pub fn kind() -> JobKind {
        JobKind { timeout: std::time::Duration::from_secs(60), is_urgent: true, ..JobKind::new(crate::WRITE) }
    }

    /// Adds it.
    pub fn register(&self, registry: &mut Registry) {
        registry.add(Self::kind(), self.clone());
    }

    async fn write(&self, job: &Job) -> JobResult {
        let draft = job.payload.get("draft").and_then(Value::as_i64);
        let draft = draft.ok_or_else(|| JobError::Fatal("the payload names no draft".to_owned()))?;
        let mailer = self.mailer.clone();
        let write = async move |tx: &Transaction<'_>| become_mail(tx, &mailer, draft).await;
        let operation = Operation::system("mail_write").for_request(job.request_id.as_deref());
        let mail = self.control.run_tx(&operation.in_tenant(job.tenant), write).await?;
        Ok(mail.map(|id| json!({ "mail": id }).into()))
    }
}

/// `None` if an earlier run has already composed it.
async fn become_mail(tx: &Transaction<'_>, mailer: &Mailer, draft: i64) -> Result<Option<i64>, DraftError> {
    let sql = "delete from mail.drafts where id = $1 returning tenant, request_id, message";
    let Some(row) = tx.query_opt(sql, &[&draft]).await.map_err(DbError::from)? else { return Ok(None) };
    let message: Value = row.get(2);
    let mut mail = request::read(message.to_string().as_bytes())?.write(mailer)?;
    mail.tenant = row.get::<_, Option<uuid::Uuid>>(0).map(TenantId);
    mail.request_id = row.get(1);
    Ok(Some(mailer.send(tx, &mail).await?.id))
}

impl Handler for Drafts {
    fn run<'a>(&'a self, job: &'a Job) -> HandlerFuture<'a> {
        Box::pin(self.write(job))
    }
}
