//! The letter to a user whose account others try to get into. A job writes it, after every lock and also for addresses
//! without an account: so a wrong password takes as long for an unknown address.

use rowhouse_db::{DbError, Transaction};
use rowhouse_jobs::{Handler, HandlerFuture, Job, JobError, JobKind, JobResult, NewJob, enqueue};
use serde_json::{Value, json};

use crate::Auth;
use crate::fault::Fault;
use crate::flow::notification::{self, Notification};
use crate::request::Client;
use crate::store::signin_failure::{self, Lock};
use crate::store::user;

/// The kind of these jobs.
const KIND: &str = "auth.tell_lock";

/// Enqueues the letter about a lock. The lock holds whether or not there can be a letter.
pub(crate) async fn enqueue_letter(auth: &Auth, lock: Lock, client: &Client) {
    if !Notification::SignInLocked.is_enabled(&auth.notifications) {
        return;
    }
    let work = async move |tx: &Transaction<'_>| {
        let payload = json!({ "account": lock.account_digest, "network": lock.network });
        let key = format!("{KIND}:{}", lock.account_digest);
        enqueue(tx, &NewJob { unique_key: Some(&key), ..NewJob::new(KIND, payload) }).await.map(drop)
    };
    let enqueued =
        auth.control.run_tx::<_, DbError>(&client.operation("auth.enqueue_lock_letter"), work).await;
    if let Err(error) = enqueued {
        let error: &dyn std::error::Error = &error;
        tracing::warn!(error, "the letter about a lock could not be enqueued");
    }
}

/// Writes these letters.
#[derive(Debug)]
pub(crate) struct LockLetters(pub(crate) Auth);

impl LockLetters {
    pub(crate) fn kind() -> JobKind {
        JobKind { max_attempts: 5, ..JobKind::new(KIND) }
    }

    async fn write(&self, job: &Job) -> JobResult {
        let text = |key: &str| job.payload.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let lock = Lock { account_digest: text("account"), network: text("network") };
        let (auth, client) = (self.0.clone(), Client::of_job(job.request_id.as_deref(), &self.0.clock));
        let operation = client.operation("auth.tell_lock");
        let work = async move |tx: &Transaction<'_>| tell(&auth, tx, &lock, &client).await;
        let written = self.0.control.run_tx(&operation, work).await;
        written.map(|()| None).map_err(|error: Fault| JobError::Retry(error.to_string()))
    }
}

/// At most once a day, and not about a network from which the user has signed in: they have forgotten their password.
async fn tell(auth: &Auth, tx: &Transaction<'_>, lock: &Lock, client: &Client) -> Result<(), Fault> {
    let Some(id) = signin_failure::claim_letter(tx, lock, auth.now()).await? else { return Ok(()) };
    let Some(row) = user::find(tx, id).await? else { return Ok(()) };
    notification::tell(auth, tx, &row.user, Notification::SignInLocked, client).await
}

impl Handler for LockLetters {
    fn run<'a>(&'a self, job: &'a Job) -> HandlerFuture<'a> {
        Box::pin(self.write(job))
    }
}
