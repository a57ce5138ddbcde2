//! The group commit: mails of many callers share a transaction, so that one fsync makes them all durable. While it waits
//! for the disk, the next ones gather.

use rowhouse_kernel::Operation;
use std::sync::Arc;

use futures_util::future::try_join_all;
use metrics::histogram;
use rowhouse_db::{Control, DbError};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::error::MailError;
use crate::mailer::Mailer;
use crate::message::{NewMail, RawMail};
use crate::store::Accepted;

/// Messages of one transaction.
const MAX_BATCH: usize = 64;
/// Transactions at once.
const COMMITTERS: usize = 3;
/// Messages that wait; the memory they take is bounded by the sessions.
const QUEUE: usize = 1024;

/// A mail on its way in.
#[derive(Debug)]
pub(crate) enum Draft {
    /// To be composed here.
    New(Box<NewMail>),
    /// Composed by somebody else.
    Raw(Box<RawMail>),
}

struct Waiting {
    mail: Arc<Draft>,
    answer: oneshot::Sender<Result<Accepted, MailError>>,
}

/// Called after a commit that has left work for the worker.
pub type Waker = Arc<dyn Fn() + Send + Sync>;

/// Where mails are handed in that have no transaction of their own. Cheap to clone; ends with its last clone.
#[derive(Clone)]
pub struct Intake(Arc<Committers>);

struct Committers {
    queue: mpsc::Sender<Waiting>,
    tasks: Vec<JoinHandle<()>>,
    mailer: Mailer,
}

impl Drop for Committers {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl std::fmt::Debug for Intake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Intake").field("room", &self.0.queue.capacity()).finish_non_exhaustive()
    }
}

impl Intake {
    /// Starts the committers.
    #[must_use]
    pub fn start(mailer: &Mailer, control: &Control, waker: &Waker) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let waiting = Arc::new(Mutex::new(waiting));
        let committer = |_| {
            let waker = Arc::clone(waker);
            let committer = Committer { mailer: mailer.clone(), control: control.clone(), waker };
            tokio::spawn(commit_all(Arc::clone(&waiting), committer))
        };
        let tasks = (0..COMMITTERS).map(committer).collect();
        Self(Arc::new(Committers { queue, tasks, mailer: mailer.clone() }))
    }

    /// The mailer behind it.
    pub(crate) fn mailer(&self) -> &Mailer {
        &self.0.mailer
    }

    /// Waits until the mail is durable.
    pub(crate) async fn accept(&self, mail: Draft) -> Result<Accepted, MailError> {
        let (answer, outcome) = oneshot::channel();
        let waiting = Waiting { mail: Arc::new(mail), answer };
        self.0.queue.send(waiting).await.map_err(|_| stopping())?;
        outcome.await.unwrap_or_else(|_| Err(stopping()))
    }
}

fn stopping() -> MailError {
    MailError::Db(DbError::Unavailable("mails are no longer taken in: the process stops".into()))
}

struct Committer {
    mailer: Mailer,
    control: Control,
    waker: Waker,
}

async fn commit_all(waiting: Arc<Mutex<mpsc::Receiver<Waiting>>>, committer: Committer) {
    let mut batch = Vec::with_capacity(MAX_BATCH);
    loop {
        if waiting.lock().await.recv_many(&mut batch, MAX_BATCH).await == 0 {
            return;
        }
        histogram!("rowhouse_mail_submission_batch").record(batch.len() as f64);
        committer.commit_batch(&mut batch).await;
        if !committer.mailer.captures() {
            (committer.waker)();
        }
    }
}

impl Committer {
    /// One bad mail does not cost the others theirs: what fails together is tried one by one.
    async fn commit_batch(&self, batch: &mut Vec<Waiting>) {
        let mails: Vec<_> = batch.iter().map(|waiting| Arc::clone(&waiting.mail)).collect();
        match self.commit(mails).await {
            Ok(all) => batch.drain(..).zip(all).for_each(|(waiting, accepted)| {
                let _caller_gone = waiting.answer.send(Ok(accepted));
            }),
            Err(error) if batch.len() == 1 => batch.drain(..).zip([error]).for_each(|(waiting, error)| {
                let _caller_gone = waiting.answer.send(Err(error));
            }),
            Err(_) => {
                for waiting in batch.drain(..) {
                    let alone = self.commit(vec![waiting.mail]).await;
                    let alone = alone.and_then(|mut one| one.pop().ok_or_else(stopping));
                    let _caller_gone = waiting.answer.send(alone);
                }
            }
        }
    }

    /// All of them or none; the statements travel together.
    async fn commit(&self, mails: Vec<Arc<Draft>>) -> Result<Vec<Accepted>, MailError> {
        let (mailer, mails) = (self.mailer.clone(), Arc::new(mails));
        let all = async move |tx: &rowhouse_db::Transaction<'_>| {
            let accept = async |mail: &Arc<Draft>| match &**mail {
                Draft::New(mail) => mailer.send(tx, mail).await,
                Draft::Raw(mail) => mailer.send_raw(tx, mail).await,
            };
            try_join_all(mails.iter().map(accept)).await
        };
        self.control.run_tx(&Operation::system("mail_accept"), all).await
    }
}
