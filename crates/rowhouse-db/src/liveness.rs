//! Monitors whether PostgreSQL answers by periodic checks, so that requests fail fast while it does not.
//!
//! A frozen server accepts bytes and sends nothing, so only a timeout can detect it. The monitor makes two checks:
//! the postmaster answers on a new socket, and a backend runs `select 1`. Code that waits for the database also waits
//! on [`Liveness::lost`], and fails with a clear error instead of hanging.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use metrics::gauge;
use postgres_protocol::message::frontend;
use tokio::sync::watch;

use crate::control::Control;
use crate::error::DbError;
use crate::flight::{Address, Stream};

/// Interval between checks while the database is up.
const INTERVAL: Duration = Duration::from_secs(1);
/// Interval between checks while it is down.
const RETRY: Duration = Duration::from_millis(250);
/// Timeout of a check. A failed check is repeated over a new connection before the server counts as down.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(1000);

/// The monitor's last result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// Both checks succeeded.
    Up,
    /// A check failed; the text says which and how.
    Down(Arc<str>),
}

/// A handle on the monitor's last result.
#[derive(Debug, Clone)]
pub struct Liveness(watch::Receiver<Health>);

impl Liveness {
    /// The last result.
    #[must_use]
    pub fn health(&self) -> Health {
        self.0.borrow().clone()
    }

    /// Fails at once while the database is down.
    ///
    /// # Errors
    /// [`DbError::Unavailable`] with the monitor's reason.
    pub fn require_up(&self) -> Result<(), DbError> {
        match &*self.0.borrow() {
            Health::Up => Ok(()),
            Health::Down(why) => Err(DbError::Unavailable(why.to_string().into())),
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
            Some(why) => DbError::Unavailable(why.into()),
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

/// The monitor. Cheap to clone; idle until [`Monitor::run`] runs.
#[derive(Clone)]
pub(crate) struct Monitor(Arc<Asker>);

struct Asker {
    control: Control,
    addresses: Vec<Address>,
    sender: watch::Sender<Health>,
}

impl Monitor {
    /// Starts as up: the first result follows within [`ANSWER_TIMEOUT`].
    pub(crate) fn new(control: Control, addresses: Vec<Address>) -> Self {
        Self(Arc::new(Asker { control, addresses, sender: watch::Sender::new(Health::Up) }))
    }

    pub(crate) fn liveness(&self) -> Liveness {
        Liveness(self.0.sender.subscribe())
    }

    /// Checks periodically until it is dropped; every iteration beats, and takes five seconds at most.
    pub(crate) async fn run(self, beat: impl Fn()) {
        loop {
            let health = look(&self.0.control, &self.0.addresses).await;
            beat();
            gauge!("pg_up").set(if health == Health::Up { 1.0 } else { 0.0 });
            let pause = if health == Health::Up { INTERVAL } else { RETRY };
            report(&self.0.sender, health);
            tokio::time::sleep(pause).await;
        }
    }
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
        // A dead connection is not a dead server, and a silent connection must not be reused for ever.
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
    match tokio::time::timeout(ANSWER_TIMEOUT, question).await {
        Ok(answer) => answer.map_err(|error| Trouble::Failed(error.to_string())),
        Err(_) => Err(Trouble::Silent(what)),
    }
}

/// Of several servers one answer is enough; the statement shows whether the right one serves.
async fn greet_any(addresses: &[Address]) -> Result<(), DbError> {
    let mut failure = DbError::Unavailable("the database URL names no host".into());
    for address in addresses {
        match greet(address).await {
            Ok(()) => return Ok(()),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// A new backend answers an SSLRequest with one byte, before authentication.
async fn greet(address: &Address) -> Result<(), DbError> {
    let gone = |error: std::io::Error| DbError::Unavailable(format!("connection lost: {error}").into());
    let mut stream = Stream::connect(address).await.map_err(gone)?;
    let mut buffer = BytesMut::new();
    frontend::ssl_request(&mut buffer);
    stream.send(&buffer).await.map_err(gone)?;
    buffer.clear();
    stream.fill(&mut buffer).await.map_err(gone)
}
