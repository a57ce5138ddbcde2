//! The clock of schedules: the database's, independent of the machines' own clocks. Between measurements the
//! machine's clock is corrected by the last difference. Leaves firing to the parent.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use metrics::gauge;
use rowhouse_db::{Control, DbError};
use rowhouse_kernel::{Clock, Operation, SharedClock};
use time::OffsetDateTime;

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
        let operation = Operation::system("jobs_clock");
        let there: OffsetDateTime = control
            .statement(&operation, async move |client| {
                Ok::<_, DbError>(client.query_one("select clock_timestamp()", &[]).await?.get(0))
            })
            .await?;
        let here = before + (self.own.now() - before) / 2;
        let was_wrong = self.is_wrong();
        let difference: time::Duration = there - here;
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

impl Clock for DatabaseClock {
    fn now(&self) -> OffsetDateTime {
        let offset = time::Duration::microseconds(self.microseconds.load(Ordering::Relaxed));
        let own = self.own.now();
        own.checked_add(offset).unwrap_or(own)
    }
}
