//! The group commit: messages of many sessions share a transaction, so that one fsync makes them all durable. While it
//! waits for the disk, the next ones gather.

use std::sync::Arc;

use futures_util::future::try_join_all;
use metrics::histogram;
use rowhouse_db::{Control, TransactionError};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;

use super::desk::Refused;
use crate::error::MailError;
use crate::mailer::Mailer;
use crate::message::RawMail;

/// Messages of one transaction.
const MOST_TOGETHER: usize = 64;
/// Transactions at once.
const COMMITTERS: usize = 3;
/// Messages that wait; the memory they take is bounded by the sessions.
const QUEUE: usize = 1024;

struct Waiting {
    mail: Arc<RawMail>,
    answer: oneshot::Sender<Result<i64, Refused>>,
}

/// Where sessions hand messages in.
pub(crate) struct Intake {
    queue: mpsc::Sender<Waiting>,
    committers: Vec<JoinHandle<()>>,
}

impl Drop for Intake {
    fn drop(&mut self) {
        self.committers.iter().for_each(JoinHandle::abort);
    }
}

impl Intake {
    /// Starts the committers; they end with it.
    pub(crate) fn start(mailer: &Mailer, control: &Control) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let waiting = Arc::new(Mutex::new(waiting));
        let committer = |_| {
            tokio::spawn(commit_all(
                Arc::clone(&waiting),
                Committer { mailer: mailer.clone(), control: control.clone() },
            ))
        };
        Self { queue, committers: (0..COMMITTERS).map(committer).collect() }
    }

    /// Waits until the message is durable.
    pub(crate) async fn accept(&self, mail: RawMail) -> Result<i64, Refused> {
        let (answer, outcome) = oneshot::channel();
        let waiting = Waiting { mail: Arc::new(mail), answer };
        self.queue.send(waiting).await.map_err(|_| Refused::NotNow)?;
        outcome.await.unwrap_or(Err(Refused::NotNow))
    }
}

struct Committer {
    mailer: Mailer,
    control: Control,
}

async fn commit_all(waiting: Arc<Mutex<mpsc::Receiver<Waiting>>>, committer: Committer) {
    let mut batch = Vec::with_capacity(MOST_TOGETHER);
    loop {
        if waiting.lock().await.recv_many(&mut batch, MOST_TOGETHER).await == 0 {
            return;
        }
        histogram!("rowhouse_mail_submission_batch").record(batch.len() as f64);
        committer.settle(&mut batch).await;
    }
}

impl Committer {
    /// One bad message does not cost the others theirs: what fails together is tried one by one.
    async fn settle(&self, batch: &mut Vec<Waiting>) {
        let mails: Vec<_> = batch.iter().map(|waiting| Arc::clone(&waiting.mail)).collect();
        match self.commit(mails).await {
            Ok(ids) => batch.drain(..).zip(ids).for_each(|(waiting, id)| {
                let _session_gone = waiting.answer.send(Ok(id));
            }),
            Err(error) if batch.len() == 1 => batch.drain(..).for_each(|waiting| {
                let _session_gone = waiting.answer.send(Err(refusal(&error)));
            }),
            Err(_) => {
                for waiting in batch.drain(..) {
                    let outcome = self.commit(vec![waiting.mail]).await;
                    let outcome = outcome.map_err(|error| refusal(&error));
                    let outcome = outcome.and_then(|ids| ids.first().copied().ok_or(Refused::NotNow));
                    let _session_gone = waiting.answer.send(outcome);
                }
            }
        }
    }

    /// All of them or none; the statements travel together.
    async fn commit(&self, mails: Vec<Arc<RawMail>>) -> Result<Vec<i64>, MailError> {
        let (mailer, mails) = (self.mailer.clone(), Arc::new(mails));
        let ids = async move |tx: &tokio_postgres::Transaction<'_>| {
            let accepted = try_join_all(mails.iter().map(|mail| mailer.send_raw(tx, mail))).await?;
            Ok(accepted.iter().map(|accepted| accepted.id).collect())
        };
        self.control.run_tx("mail.submit", ids).await
    }
}

fn refusal(error: &MailError) -> Refused {
    match error {
        MailError::Invalid(why) => Refused::Message(why.clone()),
        MailError::TooLarge { .. } => Refused::TooLarge,
        MailError::Unusable(_) | MailError::Db(_) => {
            // Data that PostgreSQL cannot take (class 22) will not be taken later either.
            let is_data =
                error.database().and_then(|error| error.code()).is_some_and(|code| code.starts_with("22"));
            tracing::warn!(%error, "a message handed in over SMTP was not stored");
            if is_data {
                Refused::Message("the message cannot be stored".to_owned())
            } else {
                Refused::NotNow
            }
        }
    }
}
