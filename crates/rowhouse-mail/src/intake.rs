//! Group commit: mails of many callers share a transaction, so that one fsync makes them all durable. While it waits
//! for the disk, the next batch accumulates.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use metrics::histogram;
use rowhouse_db::{Control, DbError};
use rowhouse_http::{BackgroundTask, Heartbeat};
use rowhouse_kernel::{Operation, Origin, SERVICE_ROLE};
use tokio::sync::{Mutex, mpsc, oneshot};

use crate::credential;
use crate::error::MailError;
use crate::mailer::Mailer;
use crate::message::{NewMail, RawMail};
use crate::store::Accepted;

/// The transaction's name.
const ACCEPT: &str = "mail_accept";
/// Messages of one transaction.
const MAX_BATCH: usize = 64;
/// Names of the tasks that commit; each runs one transaction at a time.
const COMMITTERS: [&str; 3] = ["mail_intake_1", "mail_intake_2", "mail_intake_3"];
/// How long a batch may take, including the retry of its mails one by one.
const BATCH_LIMIT: Duration = Duration::from_secs(60);
/// Length of the queue; its memory is bounded by the sessions' budget.
const QUEUE: usize = 1024;

/// A mail on its way in.
#[derive(Debug)]
pub(crate) enum Draft {
    /// To be composed by the mailer.
    New(Box<NewMail>),
    /// Composed by the client.
    Raw(Box<RawMail>),
}

struct Waiting {
    mail: Arc<Draft>,
    origin: Origin,
    answer: oneshot::Sender<Result<Accepted, MailError>>,
}

/// Called after a commit that has enqueued jobs.
pub type Waker = Arc<dyn Fn() + Send + Sync>;

/// Accepts mails that come without a transaction of the caller. Cheap to clone.
#[derive(Clone)]
pub struct Intake {
    queue: mpsc::Sender<Waiting>,
    mailer: Mailer,
}

impl std::fmt::Debug for Intake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Intake").field("waiting", &self.waiting()).finish_non_exhaustive()
    }
}

impl Intake {
    /// The intake and the tasks that commit, which have to run.
    #[must_use]
    pub fn new(mailer: &Mailer, control: &Control, waker: &Waker) -> (Self, Vec<BackgroundTask>) {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let waiting = Arc::new(Mutex::new(waiting));
        let committer =
            Committer { mailer: mailer.clone(), control: control.clone(), waker: Arc::clone(waker), waiting };
        let task = |name| {
            let committer = committer.clone();
            BackgroundTask::new(name, move |heartbeat| committer.clone().run(heartbeat))
        };
        (Self { queue, mailer: mailer.clone() }, COMMITTERS.map(task).into())
    }

    /// Mails that wait for a transaction.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    /// The mailer that it uses.
    pub(crate) fn mailer(&self) -> &Mailer {
        &self.mailer
    }

    /// Waits until the mail is durable. `origin` is who hands it in.
    pub(crate) async fn accept(&self, mail: Draft, origin: Origin) -> Result<Accepted, MailError> {
        let (answer, outcome) = oneshot::channel();
        let waiting = Waiting { mail: Arc::new(mail), origin, answer };
        self.queue.send(waiting).await.map_err(|_| unanswered())?;
        outcome.await.unwrap_or_else(|_| Err(unanswered()))
    }
}

/// The committer has stopped or was restarted.
fn unanswered() -> MailError {
    MailError::Db(DbError::Unavailable("the mail was not stored; try again".into()))
}

#[derive(Clone)]
struct Committer {
    mailer: Mailer,
    control: Control,
    waker: Waker,
    waiting: Arc<Mutex<mpsc::Receiver<Waiting>>>,
}

impl Committer {
    /// Commits until every [`Intake`] is dropped.
    async fn run(self, heartbeat: Heartbeat) {
        let mut batch = Vec::with_capacity(MAX_BATCH);
        while heartbeat.idle(self.gather(&mut batch)).await > 0 {
            histogram!("rowhouse_mail_submission_batch").record(batch.len() as f64);
            if let Err(error) = heartbeat.within(BATCH_LIMIT, self.commit_batch(&mut batch)).await {
                tracing::error!(%error, "mails were not stored");
                batch.clear();
            }
            if !self.mailer.captures() {
                (self.waker)();
            }
        }
        heartbeat.idle(heartbeat.stopping()).await;
    }

    async fn gather(&self, batch: &mut Vec<Waiting>) -> usize {
        self.waiting.lock().await.recv_many(batch, MAX_BATCH).await
    }

    /// If a batch fails, its mails are stored one by one, so that one bad mail does not fail the others.
    async fn commit_batch(&self, batch: &mut Vec<Waiting>) {
        let mails: Vec<_> = batch.iter().map(|waiting| Arc::clone(&waiting.mail)).collect();
        match self.commit(mails, operation(batch)).await {
            Ok(all) => batch.drain(..).zip(all).for_each(|(waiting, accepted)| {
                let _caller_gone = waiting.answer.send(Ok(accepted));
            }),
            Err(error) if batch.len() == 1 => batch.drain(..).zip([error]).for_each(|(waiting, error)| {
                let _caller_gone = waiting.answer.send(Err(error));
            }),
            Err(_) => {
                for waiting in batch.drain(..) {
                    let alone = self.commit(vec![waiting.mail], waiting.origin.operation(ACCEPT)).await;
                    let alone = alone.and_then(|mut one| one.pop().ok_or_else(unanswered));
                    let _caller_gone = waiting.answer.send(alone);
                }
            }
        }
    }

    /// Stores all of them or none, with pipelined statements.
    async fn commit(&self, mails: Vec<Arc<Draft>>, operation: Operation) -> Result<Vec<Accepted>, MailError> {
        let (mailer, mails) = (self.mailer.clone(), Arc::new(mails));
        let all = async move |tx: &rowhouse_db::Transaction<'_>| {
            credential::require_good(tx, &credentials(&mailer, &mails)).await?;
            let accept = async |mail: &Arc<Draft>| match &**mail {
                Draft::New(mail) => mailer.send(tx, mail).await,
                Draft::Raw(mail) => mailer.send_raw(tx, mail).await,
            };
            try_join_all(mails.iter().map(accept)).await
        };
        self.control.run_tx(&operation, all).await
    }
}

/// The origin of a single mail; a batch of several is the program's own, and each mail keeps its request id.
fn operation(batch: &[Waiting]) -> Operation {
    match batch {
        [waiting] => waiting.origin.operation(ACCEPT),
        _ => Operation::system(ACCEPT),
    }
}

/// Credentials that must still be valid at the commit. Where mails are captured, credentials are not checked.
fn credentials<'m>(mailer: &Mailer, mails: &'m [Arc<Draft>]) -> Vec<&'m str> {
    let of_mail = |mail: &'m Arc<Draft>| match &**mail {
        Draft::Raw(mail) => mail.credential.as_deref().filter(|name| *name != SERVICE_ROLE),
        Draft::New(_) => None,
    };
    let mut names: Vec<&str> =
        if mailer.captures() { Vec::new() } else { mails.iter().filter_map(of_mail).collect() };
    names.sort_unstable();
    names.dedup();
    names
}
