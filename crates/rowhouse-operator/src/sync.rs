//! The sync: a profile for every user who has none. Leaves what a profile is made of to `rowhouse_tenancy::user_sync`.
//!
//! Users in the order of their ids, so many in a transaction: a sync that was stopped is continued by
//! the next one, two at once do each other's work no second time, and no sign-up waits.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use rowhouse_audit::Entry;
use rowhouse_db::{Control, DbError, Transaction};
use rowhouse_kernel::Origin;
use rowhouse_tenancy::user_sync::{self, UserSync};
use serde_json::{Map, Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::progress::Progress;

/// Users of a page, of whom a sync looks whether they have a profile.
const PAGE: i64 = 10_000;
/// Most profiles that are made in one transaction.
const BATCH: usize = 1000;
/// Most ids of created profiles that a result lists; the count goes on.
const MAX_LISTED: usize = 200_000;
/// Most errors that a result lists.
const MAX_ERRORS: usize = 100;
/// Errors in the audit log, and their longest text in bytes.
const MAX_KEPT_ERRORS: usize = 10;
const MAX_KEPT_BYTES: usize = 200;

/// The target of entries in the audit log.
const TARGET: (&str, &str) = ("user_sync", "all");
/// The action of the entry that summarizes a sync.
const SYNCED: &str = "users_synced";

/// What new profiles are like.
#[derive(Debug, Clone, Default)]
pub(crate) struct Profile {
    /// `None` is the role of a sign-up.
    pub(crate) role: Option<String>,
    pub(crate) is_inactive: bool,
}

/// What a sync has done.
#[derive(Debug, Clone, Default)]
pub(crate) struct Done {
    pub(crate) created: u64,
    pub(crate) created_ids: Vec<Uuid>,
    pub(crate) failed: u64,
    /// A sentence for each failure, with the user's id.
    pub(crate) errors: Vec<String>,
    pub(crate) seconds: f64,
    pub(crate) is_interrupted: bool,
}

impl Done {
    fn add(&mut self, created: Vec<Uuid>) {
        self.created += created.len() as u64;
        let room = MAX_LISTED.saturating_sub(self.created_ids.len());
        self.created_ids.extend(created.into_iter().take(room));
    }

    fn fail(&mut self, user: Uuid, error: &DbError) {
        self.failed += 1;
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(format!("{user}: {error}"));
        }
    }

    fn details(&self) -> Value {
        let shortened = |error: &String| error[..error.floor_char_boundary(MAX_KEPT_BYTES)].to_owned();
        let errors: Vec<String> = self.errors.iter().take(MAX_KEPT_ERRORS).map(shortened).collect();
        json!({ "created_profiles": self.created, "failed_creations": self.failed, "errors": errors,
                "execution_time": self.seconds, "interrupted": self.is_interrupted })
    }
}

/// A sync that could not go on.
#[derive(Debug, thiserror::Error)]
#[error("{error}; {created} profiles had been created, and running it again continues")]
pub(crate) struct Stopped {
    created: u64,
    error: DbError,
}

/// Makes profiles.
pub(crate) struct Maker<'a> {
    pub(crate) control: &'a Control,
    pub(crate) origin: &'a Origin,
    pub(crate) profile: &'a Profile,
}

impl Maker<'_> {
    /// Makes all that are missing, until `interrupted` is set.
    pub(crate) async fn make_all(&self, users: i64, interrupted: &AtomicBool) -> Result<Done, Stopped> {
        let (began, mut done) = (Instant::now(), Done::default());
        let walked = self.walk(users, interrupted, &mut done).await;
        done.seconds = (began.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
        done.is_interrupted = interrupted.load(Ordering::Relaxed);
        let kept = match walked {
            Ok(()) => self.keep(&done).await,
            Err(error) => Err(error),
        };
        kept.map_err(|error| Stopped { created: done.created, error })?;
        Ok(done)
    }

    async fn walk(&self, users: i64, interrupted: &AtomicBool, done: &mut Done) -> Result<(), DbError> {
        let mut progress = Progress::new(u64::try_from(users).unwrap_or_default());
        let (mut after, mut seen) = (None, 0);
        while !interrupted.load(Ordering::Relaxed) {
            let page = self.list(after).await?;
            let Some((last, _)) = page.last() else { break };
            after = Some(*last);
            let missing: Vec<Uuid> = page.iter().filter(|(_, missing)| *missing).map(|(id, _)| *id).collect();
            let mut passed = 0;
            for batch in missing.chunks(BATCH) {
                if interrupted.load(Ordering::Relaxed) {
                    break;
                }
                self.make_batch(batch, done).await?;
                passed += batch.len() as u64;
                progress.show(seen + passed);
            }
            seen += page.len() as u64;
            progress.show(seen);
        }
        progress.end();
        Ok(())
    }

    async fn list(&self, after: Option<Uuid>) -> Result<Vec<(Uuid, bool)>, DbError> {
        let list = async |client: &Client| user_sync::list_users(client, after, PAGE).await;
        self.control.statement(&self.origin.operation("users.list"), list).await
    }

    /// All in one transaction; when that is refused, each in one of its own, so that only those fail who have to.
    async fn make_batch(&self, users: &[Uuid], done: &mut Done) -> Result<(), DbError> {
        match self.make(users).await {
            Ok(created) => done.add(created),
            Err(DbError::Refused(_)) => {
                for user in users {
                    match self.make(&[*user]).await {
                        Ok(created) => done.add(created),
                        Err(error @ DbError::Refused(_)) => done.fail(*user, &error),
                        Err(error) => return Err(error),
                    }
                }
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// The profiles that these users lack, in one transaction.
    pub(crate) async fn make(&self, users: &[Uuid]) -> Result<Vec<Uuid>, DbError> {
        let (role, is_active) = (self.profile.role.as_deref(), !self.profile.is_inactive);
        let make = async |tx: &Transaction<'_>| {
            let created = user_sync::create_profiles(tx, users, role, is_active).await?;
            if let (Some(first), Some(last)) = (created.first(), created.last()) {
                let details = json!({ "count": created.len(), "first": first, "last": last,
                                      "role": role, "is_active": is_active });
                audit(tx, "profiles_created", details).await?;
            }
            Ok(created)
        };
        self.control.run_tx(&self.origin.operation("users.create_profiles"), make).await
    }

    /// Keeps what was done for [`last`].
    async fn keep(&self, done: &Done) -> Result<(), DbError> {
        let keep = async |tx: &Transaction<'_>| audit(tx, SYNCED, done.details()).await;
        self.control.run_tx(&self.origin.operation("users.keep_sync"), keep).await
    }
}

async fn audit(tx: &Client, action: &str, details: Value) -> Result<(), DbError> {
    let details: Map<String, Value> = details.as_object().cloned().unwrap_or_default();
    let (target_kind, target_id) = TARGET;
    let entry = Entry { source: "tenancy", action, target_kind, target_id, tenant: None, details };
    rowhouse_audit::write(tx, entry).await.map(|_| ())
}

/// Users without a profile, `most` at most.
pub(crate) async fn list_missing(
    control: &Control,
    origin: &Origin,
    most: usize,
) -> Result<Vec<Uuid>, DbError> {
    let profile = Profile::default();
    let maker = Maker { control, origin, profile: &profile };
    let (mut after, mut missing) = (None, Vec::new());
    while missing.len() < most {
        let page = maker.list(after).await?;
        let Some((last, _)) = page.last() else { break };
        after = Some(*last);
        missing.extend(page.iter().filter(|(_, is_missing)| *is_missing).map(|(id, _)| *id));
    }
    missing.truncate(most);
    Ok(missing)
}

/// The last sync, as it was kept.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LastSync {
    /// When it ended, RFC 3339.
    pub(crate) ended_at: String,
    pub(crate) details: Value,
}

/// The last sync, unless its entry in the audit log is older than the retention.
pub(crate) async fn last(client: &Client) -> Result<Option<LastSync>, DbError> {
    let sql = "select to_jsonb(e.occurred_at at time zone 'UTC') #>> '{}' || 'Z' as ended_at, e.details
               from audit.entries e
               where e.target_kind = 'user_sync' and e.target_id = 'all' and e.action = 'users_synced'
               order by e.occurred_at desc limit 1";
    let row = client.query_typed_opt(sql, &[]).await?;
    let read = |row: tokio_postgres::Row| {
        Ok::<_, tokio_postgres::Error>(LastSync {
            ended_at: row.try_get("ended_at")?,
            details: row.try_get("details")?,
        })
    };
    Ok(row.map(read).transpose()?)
}

/// Restores the trigger of sign-ups, audited.
pub(crate) async fn restore_trigger(
    control: &Control,
    origin: &Origin,
    before: &UserSync,
) -> Result<(), DbError> {
    let restore = async |tx: &Transaction<'_>| {
        user_sync::restore_trigger(tx).await?;
        audit(tx, "sign_up_trigger_restored", json!({ "before": before.trigger })).await
    };
    control.run_tx(&origin.operation("users.restore_trigger"), restore).await
}

#[cfg(test)]
mod tests;
