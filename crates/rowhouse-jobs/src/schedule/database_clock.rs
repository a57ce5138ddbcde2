//! The one clock that schedules go by, whatever the machines' own clocks say: the database's. Between two measurements the
//! machine's clock is corrected by the difference that was found. Leaves what fires when to the parent.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use metrics::gauge;
use rowhouse_db::{Control, DbError};
use rowhouse_kernel::{Clock, Operation, SharedClock};
use time::OffsetDateTime;

/// A machine whose clock is further off says so, and leaves schedules to others where there are any.
pub const MAX_SKEW: Duration = Duration::from_secs(60);

/// The database's clock, as far as it is known.
#[derive(Debug)]
pub struct DatabaseClock {
    own: SharedClock,
    /// What is to be added to the machine's clock.
    microseconds: AtomicI64,
}

impl DatabaseClock {
    /// Until it is measured it says what the machine's says.
    #[must_use]
    pub fn new(own: &SharedClock) -> Arc<Self> {
        Arc::new(Self { own: Arc::clone(own), microseconds: AtomicI64::new(0) })
    }

    /// Compares the clocks.
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

    /// How far the machine's clock is off.
    #[must_use]
    pub fn skew(&self) -> Duration {
        Duration::from_micros(self.microseconds.load(Ordering::Relaxed).unsigned_abs())
    }

    /// Whether it is too far off.
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
