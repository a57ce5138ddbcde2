//! Bulk jobs: what can be asked for, begun, repeated and cancelled. Leaves running them to `bulk`.

use rowhouse_audit::Entry;
use rowhouse_db::{DbError, TransactionError};
use rowhouse_jobs::{NewJob as QueuedJob, enqueue};
use rowhouse_kernel::Caller;
use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

use super::reason;
use crate::power::{Power, PowerError, require, require_assurance};
use crate::settings::Assurance;
use crate::store::bulk::{self as store, Action, BulkJob, NewJob};
use crate::store::search::Filter;

/// The kind of the durable job.
pub(crate) const KIND: &str = "operators.bulk";
/// Most users or addresses that a request names.
const MOST_NAMED: usize = 10_000;
/// Most users whom a filter finds.
const MOST: i64 = 100_000;

/// Why a bulk job is not begun or changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BulkError {
    #[error("there is no such bulk job")]
    NotFound,
    #[error("the bulk job is {0}")]
    WrongState(String),
    #[error("{0}")]
    Invalid(String),
    #[error(transparent)]
    Power(#[from] PowerError),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl TransactionError for BulkError {
    fn database(&self) -> Option<&DbError> {
        match self {
            Self::Db(error) | Self::Power(PowerError::Db(error)) => Some(error),
            _ => None,
        }
    }
}

/// To whom something is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Subjects {
    Users(Vec<Uuid>),
    Fitting(Filter),
    /// Addresses that are invited to an organization, with the role there.
    Invited {
        emails: Vec<String>,
        organization: Uuid,
        role: String,
    },
}

/// What is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) action: Action,
    pub(crate) subjects: Subjects,
    pub(crate) reason: Option<String>,
    pub(crate) dry_run: bool,
}

/// The same as somebody has written it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Written {
    pub(crate) users: Option<Vec<Uuid>>,
    pub(crate) filter: Option<Filter>,
    pub(crate) emails: Option<Vec<String>>,
    pub(crate) organization: Option<Uuid>,
    pub(crate) role: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) dry_run: bool,
}

impl Asked {
    /// Checks what does not depend on the database.
    pub(crate) fn read(action: Action, written: Written) -> Result<Self, BulkError> {
        let reason = written.reason.as_deref().map(reason::read).transpose().map_err(BulkError::Invalid)?;
        if matches!(action, Action::Suspend | Action::Delete) && reason.is_none() {
            return Err(invalid("reason: required"));
        }
        let dry_run = written.dry_run;
        Ok(Self { action, subjects: subjects(action, written)?, reason, dry_run })
    }

    /// Who may ask for it.
    fn power(&self) -> Power {
        match self.action {
            Action::Invite | Action::Delete => Power::Everything,
            Action::Activate | Action::Suspend | Action::Export => Power::Help,
        }
    }

    fn parameters(&self) -> Value {
        match &self.subjects {
            Subjects::Users(users) => json!({ "users": users.len() }),
            Subjects::Fitting(filter) => json!({ "filter": filter }),
            Subjects::Invited { emails, organization, role } => {
                json!({ "emails": emails.len(), "organization": organization, "role": role })
            }
        }
    }
}

fn invalid(why: &str) -> BulkError {
    BulkError::Invalid(why.to_owned())
}

fn subjects(action: Action, written: Written) -> Result<Subjects, BulkError> {
    let is_many = |count: usize| (1..=MOST_NAMED).contains(&count);
    let Written { users, filter, emails, organization, role, .. } = written;
    match (action, users, filter, emails) {
        (Action::Invite, None, None, Some(emails)) if is_many(emails.len()) => {
            if emails.iter().any(|email| !(1..=255).contains(&email.len()) || email.contains('\0')) {
                return Err(invalid("emails: of 1 to 255 bytes each"));
            }
            let organization = organization.ok_or_else(|| invalid("organization: required"))?;
            let role = role.unwrap_or_else(|| "member".to_owned());
            if role.len() > 32 {
                return Err(invalid("role: at most 32 bytes"));
            }
            Ok(Subjects::Invited { emails, organization, role })
        }
        (Action::Invite, ..) => Err(invalid("invite takes emails, 1 to 10000, and an organization")),
        _ if organization.is_some() || role.is_some() => {
            Err(invalid("organization and role are of invite; a filter has an organization of its own"))
        }
        (_, Some(users), None, None) if is_many(users.len()) => Ok(Subjects::Users(users)),
        (_, None, Some(filter), None) => match filter.mistake() {
            Some(why) => Err(BulkError::Invalid(format!("filter: {why}"))),
            None if filter.is_empty() && action != Action::Export => {
                Err(invalid("filter: without a condition it means everybody"))
            }
            None => Ok(Subjects::Fitting(filter)),
        },
        _ => Err(invalid("either users, 1 to 10000, or a filter")),
    }
}

/// Begins one as `actor`, in the caller's transaction.
pub(crate) async fn begin(tx: &Client, id: Uuid, asked: &Asked, actor: &str) -> Result<BulkJob, BulkError> {
    let (action, dry_run, parameters) = (asked.action, asked.dry_run, &asked.parameters());
    let new = NewJob { id, action, reason: asked.reason.as_deref(), parameters, dry_run, actor };
    store::create(tx, &new).await?;
    match &asked.subjects {
        Subjects::Users(users) => store::add_users(tx, id, users).await?,
        Subjects::Fitting(filter) => store::add_fitting(tx, id, filter, MOST).await?,
        Subjects::Invited { emails, .. } => store::add_addresses(tx, id, emails).await?,
    }
    let total = store::count(tx, id).await?;
    if i64::from(total) > MOST {
        return Err(BulkError::Invalid(format!("filter: it finds more than {MOST} users")));
    }
    let mut details =
        json!({ "action": action, "dry_run": dry_run, "total": total, "parameters": parameters });
    details["reason"] = json!(asked.reason);
    record(tx, "bulk_job_begun", id, details).await?;
    let made = get(tx, id).await?;
    if made.is_running() {
        queue(tx, id).await?;
    }
    Ok(made)
}

/// The same by a caller, who has to be an operator of the right role, signed in as `aal` says.
pub(crate) async fn begin_by(
    tx: &Client,
    (caller, aal): (&Caller, Assurance),
    id: Uuid,
    asked: &Asked,
    actor: &str,
) -> Result<BulkJob, BulkError> {
    require(tx, caller, asked.power()).await?;
    require_assurance(tx, caller, aal).await?;
    begin(tx, id, asked, actor).await
}

/// Does failed items again, and those that a cancellation has left.
pub(crate) async fn retry(tx: &Client, id: Uuid) -> Result<BulkJob, BulkError> {
    let before = get(tx, id).await?;
    let items = store::retry(tx, id).await?;
    if items == 0 {
        let why = if before.is_running() { "running" } else { "done, and no item has failed" };
        return Err(BulkError::WrongState(why.to_owned()));
    }
    record(tx, "bulk_job_retried", id, json!({ "items": items })).await?;
    queue(tx, id).await?;
    get(tx, id).await
}

/// Ends one after the batch that it is at.
pub(crate) async fn cancel(tx: &Client, id: Uuid) -> Result<BulkJob, BulkError> {
    let before = get(tx, id).await?;
    if !store::cancel(tx, id, None).await? {
        return Err(BulkError::WrongState(before.state));
    }
    get(tx, id).await
}

/// Notes that somebody takes the results away: those of an export have what is known of each user.
pub(crate) async fn note_results(tx: &Client, id: Uuid) -> Result<(), BulkError> {
    let job = get(tx, id).await?;
    let details = json!({ "action": job.action, "total": job.total });
    Ok(record(tx, "bulk_job_results_read", id, details).await?)
}

pub(crate) async fn get(tx: &Client, id: Uuid) -> Result<BulkJob, BulkError> {
    store::find(tx, id).await?.ok_or(BulkError::NotFound)
}

/// One run at a time, also when a second one is queued before the first has ended.
async fn queue(tx: &Client, id: Uuid) -> Result<(), DbError> {
    let key = id.to_string();
    let job = QueuedJob::new(KIND, json!({ "bulk_job_id": id }));
    enqueue(tx, &QueuedJob { key: Some(&key), ..job }).await?;
    Ok(())
}

async fn record(tx: &Client, action: &str, id: Uuid, details: Value) -> Result<(), DbError> {
    let details = details.as_object().cloned().unwrap_or_default();
    let (target_kind, target_id) = ("bulk_job", &id.to_string());
    let entry = Entry { source: "operator", action, target_kind, target_id, tenant: None, details };
    rowhouse_audit::write(tx, entry).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(action: Action, written: Written) -> Result<Subjects, String> {
        Asked::read(action, written).map(|asked| asked.subjects).map_err(|error| error.to_string())
    }

    #[test]
    fn each_action_takes_what_it_can_do() {
        let users = || Written { users: Some(vec![Uuid::nil()]), ..Written::default() };
        let emails = || Written { emails: Some(vec!["a@b.example".to_owned()]), ..Written::default() };
        assert_eq!(read(Action::Export, users()), Ok(Subjects::Users(vec![Uuid::nil()])));
        assert_eq!(read(Action::Suspend, users()).unwrap_err(), "reason: required");
        let suspended = Written { reason: Some("abuse".to_owned()), ..users() };
        assert!(read(Action::Suspend, suspended).is_ok());
        assert!(read(Action::Activate, Written { users: Some(Vec::new()), ..Written::default() }).is_err());
        assert!(read(Action::Export, Written { filter: Some(Filter::default()), ..users() }).is_err());
        assert!(read(Action::Export, emails()).is_err());
        assert_eq!(read(Action::Invite, emails()).unwrap_err(), "organization: required");
        let invited = Written { organization: Some(Uuid::nil()), ..emails() };
        assert!(read(Action::Invite, invited).is_ok());
        assert!(read(Action::Invite, users()).is_err());
    }

    #[test]
    fn filter_without_a_condition_finds_everybody_for_an_export_only() {
        let all = || Written { filter: Some(Filter::default()), ..Written::default() };
        assert!(read(Action::Export, all()).is_ok());
        assert!(read(Action::Activate, all()).is_err());
    }
}
