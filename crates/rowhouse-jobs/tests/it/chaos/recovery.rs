//! How long the jobs of a killed worker stand still.

use std::time::{Duration, Instant};

use super::act::pause;
use super::load::connect;

const LOOK: Duration = Duration::from_millis(200);
/// Then the watch ends, and what it has seen is too long.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What a worker process held when it was about to be killed.
#[derive(Debug)]
pub(super) struct Held {
    jobs: Vec<i64>,
    since: Instant,
}

impl Held {
    pub(super) fn is_nothing(&self) -> bool {
        self.jobs.is_empty()
    }
}

/// What the worker process with this id holds.
pub(super) async fn held(url: &str, pid: i32) -> Held {
    let sql = "select coalesce(array_agg(j.id), '{}') from jobs.workers w join jobs.leases l on l.worker = w.id \
               cross join unnest(l.jobs) j where w.pid = $1";
    let rows = connect(url).await.query_one(sql, &[&pid]).await;
    Held { jobs: rows.map(|row| row.get(0)).unwrap_or_default(), since: Instant::now() }
}

/// Waits until each of the jobs has run elsewhere or has ended; when the kill was, and how long after it.
pub(super) async fn taken_over(url: String, held: Held) -> (Instant, Duration) {
    let sql = "select count(*) from unnest($1::bigint[]) held (id) \
               where not exists (select from chaos.runs r where r.id = held.id and r.started_at > clock_timestamp() - make_interval(secs => $2)) \
               and not exists (select from (select unnest(d.ids) as id from jobs.done d) d where d.id = held.id) \
               and not exists (select from jobs.dead d where d.id = held.id)";
    let mut client = connect(&url).await;
    while held.since.elapsed() < TIMEOUT {
        let since = held.since.elapsed().as_secs_f64();
        match client.query_one(sql, &[&held.jobs, &since]).await {
            Ok(row) if row.get::<_, i64>(0) == 0 => break,
            Ok(_) => {}
            Err(_) => client = connect(&url).await,
        }
        pause(LOOK).await;
    }
    (held.since, held.since.elapsed())
}
