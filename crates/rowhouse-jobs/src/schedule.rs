//! Schedules: periodic jobs. Firing a schedule and enqueueing its job is one transaction under the schedule's row
//! lock, so that any number of processes fire each time once. Leaves reading the file to `config`.

mod database_clock;
pub(crate) mod plan;

use std::sync::Arc;
use std::time::Duration;

use rowhouse_db::Transaction;
use rowhouse_db::{Control, DbError};
use rowhouse_kernel::settings::Setting;
use rowhouse_kernel::{Operation, SharedClock, SharedRng};
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio_postgres::{Client, Row};

use crate::cron::Cron;
use crate::enqueue::{NewJob, enqueue};
use crate::settings::Missed;
pub use database_clock::{DatabaseClock, MAX_SKEW, clock_mistake};
use plan::{Chance, Plan, Turn};

/// Most schedules fired per poll; the next poll continues.
const MOST: usize = 200;
/// How long a process with a wrong clock leaves a due schedule to others, which poll every second.
const OTHERS_FIRST: Duration = Duration::from_secs(5);

/// A schedule as `schedule list` shows it.
#[derive(Debug, Clone, Serialize)]
pub struct Schedule {
    /// Its name.
    pub name: String,
    /// The pattern.
    pub cron: String,
    /// The time zone of the pattern.
    pub timezone: String,
    /// The kind of its jobs.
    pub kind: String,
    /// The queue of its jobs.
    pub queue: String,
    /// `skip`, `once` or `all`.
    pub missed: String,
    /// Whether it is paused.
    pub paused: bool,
    /// Whether it is built in.
    pub built_in: bool,
    /// When it fires next; `None` for never.
    #[serde(with = "time::serde::rfc3339::option")]
    pub next_at: Option<OffsetDateTime>,
    /// When it fired last.
    #[serde(with = "time::serde::rfc3339::option")]
    pub last_at: Option<OffsetDateTime>,
    /// The last job that it enqueued.
    pub last_job: Option<i64>,
    /// The outcome of that job: `state` (ready, running, retrying, done, dead, cancelled), `at`, `error`, `result`;
    /// if enqueueing failed, state `failed` and the error. Kept longer than the job itself.
    pub last_result: Option<Value>,
}

/// Measures the clock difference, and fires what is due by the database's clock. If this machine's clock is too far
/// off, other processes go first: a schedule that stays due for five seconds is fired anyway, since there may be no
/// others.
///
/// # Errors
/// Those of [`run_due`].
pub async fn lead(control: &Control, clock: &Arc<DatabaseClock>, rng: &SharedRng) -> Result<usize, DbError> {
    clock.measure(control).await?;
    let overdue = if clock.is_wrong() { OTHERS_FIRST } else { Duration::ZERO };
    let shared: SharedClock = Arc::clone(clock) as SharedClock;
    fire_due(control, &shared, rng, overdue).await
}

/// Fires every due schedule, and returns the number of jobs enqueued.
///
/// # Errors
/// The database's. A schedule that fails stores the reason in its row and does not delay others.
pub async fn run_due(control: &Control, clock: &SharedClock, rng: &SharedRng) -> Result<usize, DbError> {
    fire_due(control, clock, rng, Duration::ZERO).await
}

/// Fires what has been due for `overdue`.
async fn fire_due(
    control: &Control,
    clock: &SharedClock,
    rng: &SharedRng,
    overdue: Duration,
) -> Result<usize, DbError> {
    let mut jobs = 0;
    for _ in 0..MOST {
        let now = clock.now();
        let due_by = now - overdue;
        if !is_any_due(control, due_by).await? {
            break;
        }
        match fire_one(control, now, due_by, rng).await? {
            Some(made) => jobs += made,
            // locked by another process
            None => break,
        }
    }
    Ok(jobs)
}

/// Avoids a transaction, most of the time.
async fn is_any_due(control: &Control, now: OffsetDateTime) -> Result<bool, DbError> {
    control
        .statement(&Operation::system("jobs_schedules_due"), async move |client| {
            let sql =
                "select exists (select from jobs.schedules where declared and not paused and next_at <= $1)";
            Ok(client.query_one(sql, &[&now]).await?.get(0))
        })
        .await
}

async fn fire_one(
    control: &Control,
    now: OffsetDateTime,
    due_by: OffsetDateTime,
    rng: &SharedRng,
) -> Result<Option<usize>, DbError> {
    let chance = Chance::draw(&**rng);
    control
        .run_tx(&Operation::system("jobs_schedule_fire"), async move |tx| {
            let sql = "select name, cron, timezone, kind, payload, queue, missed, extract(epoch from jitter)::float8, slot, next_at \
                       from jobs.schedules where declared and not paused and next_at <= $1 \
                       order by next_at limit 1 for update skip locked";
            match tx.query_opt(sql, &[&due_by]).await? {
                Some(row) => Due::from(&row).fire(tx, now, chance).await.map(Some),
                None => Ok(None),
            }
        })
        .await
}

/// The row of a due schedule.
struct Due {
    name: String,
    pattern: String,
    timezone: String,
    kind: String,
    payload: Value,
    queue: String,
    missed: String,
    jitter: Duration,
    turn: Turn,
}

impl Due {
    fn from(row: &Row) -> Self {
        let at = row.get(9);
        Self {
            name: row.get(0),
            pattern: row.get(1),
            timezone: row.get(2),
            kind: row.get(3),
            payload: row.get(4),
            queue: row.get(5),
            missed: row.get(6),
            jitter: Duration::try_from_secs_f64(row.get(7)).unwrap_or_default(),
            turn: Turn { slot: row.get::<_, Option<_>>(8).unwrap_or(at), at },
        }
    }

    async fn fire(
        &self,
        tx: &Transaction<'_>,
        now: OffsetDateTime,
        chance: Chance,
    ) -> Result<usize, DbError> {
        let (Ok(cron), Ok(missed)) =
            (Cron::parse(&self.pattern, &self.timezone), Missed::from_text(&self.missed))
        else {
            // written by a newer release
            let error = "this process cannot read the schedule";
            self.note(tx, now, None, None, Some(error)).await?;
            return Ok(0);
        };
        let Plan { slots, next } = plan::plan(&cron, missed, self.jitter, self.turn, now, chance);
        let made = self.enqueue_all(tx, &slots).await?;
        let (last, error) = match &made {
            Ok(ids) => (ids.last().copied(), None),
            Err(error) => (None, Some(error.as_str())),
        };
        self.note(tx, now, next, last, error).await?;
        tracing::info!(
            schedule = self.name,
            jobs = made.as_ref().map_or(0, Vec::len),
            error,
            "schedule fired"
        );
        Ok(made.map_or(0, |ids| ids.len()))
    }

    /// Enqueues one job for each time; if the database refuses, none and the reason.
    async fn enqueue_all(
        &self,
        tx: &Transaction<'_>,
        slots: &[OffsetDateTime],
    ) -> Result<Result<Vec<i64>, String>, DbError> {
        tx.batch_execute("savepoint firing").await?;
        let mut ids = Vec::with_capacity(slots.len());
        for slot in slots {
            match enqueue(tx, &self.job(*slot)).await {
                Ok(id) => ids.push(id),
                Err(DbError::Refused(error)) => {
                    tx.batch_execute("rollback to savepoint firing").await?;
                    return Ok(Err(error.to_string()));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Ok(ids))
    }

    fn job(&self, slot: OffsetDateTime) -> NewJob<'_> {
        NewJob { queue: &self.queue, ..NewJob::new(&self.kind, with_scheduled_time(&self.payload, slot)) }
    }

    async fn note(
        &self,
        tx: &Transaction<'_>,
        now: OffsetDateTime,
        next: Option<Turn>,
        job: Option<i64>,
        error: Option<&str>,
    ) -> Result<(), DbError> {
        let fired = job.is_some() || error.is_some();
        let sql = "update jobs.schedules set slot = $2, next_at = $3, \
                   last_at = case when $4 then $5 else last_at end, \
                   last_job = case when $4 then $6 else last_job end, \
                   last_result = case when $4 then null else last_result end, \
                   last_error = case when $4 then $7 else last_error end where name = $1";
        let (slot, at) = (next.map(|turn| turn.slot), next.map(|turn| turn.at));
        tx.execute(sql, &[&self.name, &slot, &at, &fired, &now, &job, &error]).await?;
        Ok(())
    }
}

/// Adds the scheduled time to the payload, unless the payload has that key.
fn with_scheduled_time(payload: &Value, slot: OffsetDateTime) -> Value {
    let mut payload = payload.clone();
    if let (Value::Object(object), Ok(text)) = (&mut payload, slot.format(&Rfc3339)) {
        object.entry("scheduled_at").or_insert(text.into());
    }
    payload
}

/// Enqueues a schedule's job now, in addition to its times, even while it is paused. `None` if no schedule has that
/// name. Job and schedule's row are written in the caller's transaction.
///
/// # Errors
/// The database's.
pub async fn run(tx: &Client, now: OffsetDateTime, name: &str) -> Result<Option<i64>, DbError> {
    let sql = "select kind, payload, queue from jobs.schedules where name = $1 and declared for update";
    let Some(row) = tx.query_opt(sql, &[&name]).await? else { return Ok(None) };
    let (kind, queue): (String, String) = (row.get(0), row.get(2));
    let now = now.replace_nanosecond(0).unwrap_or(now);
    let job = NewJob { queue: &queue, ..NewJob::new(&kind, with_scheduled_time(&row.get(1), now)) };
    let id = enqueue(tx, &job).await?;
    let sql = "update jobs.schedules set last_at = $2, last_job = $3, last_error = null, last_result = null \
               where name = $1";
    tx.execute(sql, &[&name, &now, &id]).await?;
    Ok(Some(id))
}

const LIST: &str = "select name, cron, timezone, kind, queue, missed, paused, built_in, next_at, last_at, last_job, \
    case when last_error is not null then jsonb_build_object('state', 'failed', 'at', last_at, 'error', last_error) \
    else coalesce(jobs.result_of(last_job, last_at), last_result) end \
    from jobs.schedules where declared order by name";

/// All schedules by name, each with the outcome of its last job.
///
/// # Errors
/// The database's.
pub async fn list(client: &Client) -> Result<Vec<Schedule>, DbError> {
    Ok(client.query(LIST, &[]).await?.iter().map(Schedule::from).collect())
}

impl From<&Row> for Schedule {
    fn from(row: &Row) -> Self {
        Self {
            name: row.get(0),
            cron: row.get(1),
            timezone: row.get(2),
            kind: row.get(3),
            queue: row.get(4),
            missed: row.get(5),
            paused: row.get(6),
            built_in: row.get(7),
            next_at: row.get::<_, Option<OffsetDateTime>>(8).filter(|_| !row.get::<_, bool>(6)),
            last_at: row.get(9),
            last_job: row.get(10),
            last_result: row.get(11),
        }
    }
}
