//! The clock of schedules: the database's, independent of the machines' own clocks. Between measurements the
//! machine's clock is corrected by the last difference. Leaves firing to the parent.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use metrics::gauge;
use rowhouse_db::{Control, DbError};
use rowhouse_kernel::{Clock, Operation, SharedClock};
use time::OffsetDateTime;
use tokio_postgres::Client;

/// Beyond this difference the process reports it and lets others fire schedules first.
pub const MAX_SKEW: Duration = Duration::from_secs(60);

/// An estimate of the database's clock.
#[derive(Debug)]
pub struct DatabaseClock {
    own: SharedClock,
    /// The offset to add to the machine's clock.
    microseconds: AtomicI64,
}

impl DatabaseClock {
    /// Without an offset until the first measurement.
    #[must_use]
    pub fn new(own: &SharedClock) -> Arc<Self> {
        Arc::new(Self { own: Arc::clone(own), microseconds: AtomicI64::new(0) })
    }

    /// Measures the offset.
    ///
    /// # Errors
    /// The database's.
    pub async fn measure(&self, control: &Control) -> Result<(), DbError> {
        let before = self.own.now();
        let there = control.statement(&Operation::system("jobs_clock"), now).await?;
        let difference = difference(there, before, self.own.now());
        let was_wrong = self.is_wrong();
        let skew = i64::try_from(difference.whole_microseconds()).unwrap_or(i64::MAX);
        self.microseconds.store(skew, Ordering::Relaxed);
        gauge!("rowhouse_jobs_clock_skew_seconds").set(self.skew().as_secs_f64());
        if self.is_wrong() && !was_wrong {
            tracing::error!(skew = ?self.skew(), "this machine's clock is wrong; other processes fire schedules first");
        }
        Ok(())
    }

    /// The absolute offset.
    #[must_use]
    pub fn skew(&self) -> Duration {
        Duration::from_micros(self.microseconds.load(Ordering::Relaxed).unsigned_abs())
    }

    /// Whether the offset exceeds [`MAX_SKEW`].
    #[must_use]
    pub fn is_wrong(&self) -> bool {
        self.skew() > MAX_SKEW
    }
}

/// The database's time.
async fn now(client: &Client) -> Result<OffsetDateTime, DbError> {
    Ok(client.query_one("select clock_timestamp()", &[]).await?.get(0))
}

/// How far the database's clock is ahead of this machine's, which was asked before and after it.
fn difference(there: OffsetDateTime, before: OffsetDateTime, after: OffsetDateTime) -> time::Duration {
    there - (before + (after - before) / 2)
}

/// What is wrong with this machine's clock by the database's; nothing within [`MAX_SKEW`].
///
/// # Errors
/// The database's.
pub async fn clock_mistake(client: &Client, own: &dyn Clock) -> Result<Option<String>, DbError> {
    let before = own.now();
    let skew = difference(now(client).await?, before, own.now()).unsigned_abs();
    let seconds = skew.as_secs();
    Ok((skew > MAX_SKEW).then(|| {
        format!(
            "this machine's clock is {seconds} s off the database's: tokens and codes end too early or too late; set either clock"
        )
    }))
}

impl Clock for DatabaseClock {
    fn now(&self) -> OffsetDateTime {
        let offset = time::Duration::microseconds(self.microseconds.load(Ordering::Relaxed));
        let own = self.own.now();
        own.checked_add(offset).unwrap_or(own)
    }
}
