//! Whether PostgreSQL answers, found out by asking it all the time, so that nobody else has to wait to learn it.
//!
//! A frozen server accepts bytes and says nothing; only a clock can tell. The monitor asks two things: does the
//! postmaster greet a fresh socket, and does a backend run `select 1`. Whoever waits for the database also waits
//! on [`Liveness::lost`], and ends with a clear error instead of hanging.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use metrics::gauge;
use postgres_protocol::message::frontend;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::control::Control;
use crate::error::DbError;
use crate::flight::{Address, Stream};

/// Pause between two questions while all is well.
const INTERVAL: Duration = Duration::from_secs(1);
/// Pause between two questions while it is not.
const RETRY: Duration = Duration::from_millis(250);
/// How long an answer may take. A server is asked twice, the second time over a new connection, before it counts as
/// down.
const DEADLINE: Duration = Duration::from_millis(1000);

/// What the monitor last saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// Both questions were answered.
    Up,
    /// One was not; the text says which and how.
    Down(Arc<str>),
}

/// A handle on the monitor's latest finding.
#[derive(Debug, Clone)]
pub struct Liveness(watch::Receiver<Health>);

impl Liveness {
    /// The latest finding.
    #[must_use]
    pub fn health(&self) -> Health {
        self.0.borrow().clone()
    }

    /// Fails at once while the database is down.
    ///
    /// # Errors
    /// [`DbError::Unavailable`] with what the monitor saw.
    pub fn require_up(&self) -> Result<(), DbError> {
        match &*self.0.borrow() {
            Health::Up => Ok(()),
            Health::Down(why) => Err(DbError::Unavailable(why.to_string())),
        }
    }

    /// Waits until the database is found down; pending for ever if the monitor has ended.
    pub async fn lost(&self) -> DbError {
        let mut seen = self.0.clone();
        let why = match seen.wait_for(|health| matches!(health, Health::Down(_))).await.as_deref() {
            Ok(Health::Down(why)) => Some(why.to_string()),
            _ => None,
        };
        match why {
            Some(why) => DbError::Unavailable(why),
            None => std::future::pending().await,
        }
    }

    /// Waits until the database is found up.
    pub async fn restored(&self) {
        let monitor_ended = self.0.clone().wait_for(|health| *health == Health::Up).await.is_err();
        if monitor_ended {
            std::future::pending::<()>().await;
        }
    }

    /// Runs `work` unless the database is, or goes, down.
    ///
    /// # Errors
    /// Those of `work`, or [`DbError::Unavailable`].
    pub async fn guard<T, E: From<DbError>>(&self, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        self.require_up()?;
        tokio::select! {
            biased;
            result = work => result,
            error = self.lost() => Err(error.into()),
        }
    }
}

/// Starts the monitor. It begins optimistic: the first finding follows within [`DEADLINE`].
pub(crate) fn watch_server(control: Control, addresses: Vec<Address>) -> (Liveness, JoinHandle<()>) {
    let (sender, receiver) = watch::channel(Health::Up);
    let task = tokio::spawn(async move {
        loop {
            let health = look(&control, &addresses).await;
            gauge!("pg_up").set(if health == Health::Up { 1.0 } else { 0.0 });
            let pause = if health == Health::Up { INTERVAL } else { RETRY };
            report(&sender, health);
            tokio::time::sleep(pause).await;
        }
    });
    (Liveness(receiver), task)
}

fn report(sender: &watch::Sender<Health>, health: Health) {
    let changed = sender.send_if_modified(|last| {
        let changed = std::mem::discriminant(last) != std::mem::discriminant(&health);
        last.clone_from(&health);
        changed
    });
    match health {
        Health::Down(why) if changed => tracing::error!(reason = %why, "database is down"),
        Health::Up if changed => tracing::info!("database is up"),
        _ => {}
    }
}

async fn look(control: &Control, addresses: &[Address]) -> Health {
    let mut outcome = ask(control, addresses).await;
    if outcome.is_err() {
        // One connection's end is not the server's, and one that fell silent must not be asked for ever.
        control.forget_idle();
        outcome = ask(control, addresses).await;
    }
    match outcome {
        Ok(()) => Health::Up,
        Err(Trouble::Silent(what)) => Health::Down(format!("{what} does not answer").into()),
        Err(Trouble::Failed(why)) => Health::Down(why.into()),
    }
}

enum Trouble {
    Silent(&'static str),
    Failed(String),
}

async fn ask(control: &Control, addresses: &[Address]) -> Result<(), Trouble> {
    within("the postmaster", greet_any(addresses)).await?;
    within("a backend", control.ping()).await
}

async fn within(
    what: &'static str,
    question: impl Future<Output = Result<(), DbError>>,
) -> Result<(), Trouble> {
    match tokio::time::timeout(DEADLINE, question).await {
        Ok(answer) => answer.map_err(|error| Trouble::Failed(error.to_string())),
        Err(_) => Err(Trouble::Silent(what)),
    }
}

/// Of several servers, one that greets is enough; which of them serves, the statement finds out.
async fn greet_any(addresses: &[Address]) -> Result<(), DbError> {
    let mut failure = DbError::Unavailable("the database URL names no host".to_owned());
    for address in addresses {
        match greet(address).await {
            Ok(()) => return Ok(()),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// A forked backend answers an SSLRequest with one byte before it asks who we are.
async fn greet(address: &Address) -> Result<(), DbError> {
    let gone = |error: std::io::Error| DbError::Unavailable(format!("connection lost: {error}"));
    let mut stream = Stream::connect(address).await.map_err(gone)?;
    let mut buffer = BytesMut::new();
    frontend::ssl_request(&mut buffer);
    stream.send(&buffer).await.map_err(gone)?;
    buffer.clear();
    stream.fill(&mut buffer).await.map_err(gone)
}
