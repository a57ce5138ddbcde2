//! Declarations and schedules against a real PostgreSQL, with a clock that stands still.

use std::sync::Arc;
use std::time::Duration;

use rowhouse_db::{Control, DbSettings};
use rowhouse_jobs::config::{ConfigError, Declarations, sync};
use rowhouse_jobs::{BuiltInSchedule, JobError, Registry, builtin, schedule};
use rowhouse_kernel::{Clock, FakeClock, SeededRng, SharedClock, SharedRng};
use rowhouse_testkit::{TestDatabase, until_true};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::datetime;
use tokio_postgres::Client;

use crate::support::{count, database, idle, registry, settings, text, worker};

const START: OffsetDateTime = datetime!(2026-05-04 11:59:30 UTC);
const BUILT_IN: &[BuiltInSchedule] =
    &[BuiltInSchedule { name: "own", cron: "17 3 * * *", kind: "jobs.noop" }];

struct Harness {
    db: TestDatabase,
    control: Control,
    client: Client,
    clock: Arc<FakeClock>,
    rng: SharedRng,
    registry: Registry,
}

impl Harness {
    async fn new() -> Self {
        let db = database().await;
        let settings = DbSettings { control_pool_size: 20, ..DbSettings::default() };
        let control = Control::open(&db.urls.control, &settings).unwrap();
        let client = db.superuser().await;
        let registry = registry(async |_| Ok(Some(json!({ "well": true }))));
        Self { db, control, client, clock: FakeClock::at(START), rng: SeededRng::new(7), registry }
    }

    async fn try_declare(&self, file: &str) -> Result<(), ConfigError> {
        let (settings, clock) = (settings(file), Arc::clone(&self.clock) as SharedClock);
        let declared = Declarations {
            settings: &settings,
            registry: &self.registry,
            built_in: BUILT_IN,
            release: "1.2.0",
        };
        sync(&self.control, &declared, &clock, &self.rng).await
    }

    async fn declare(&self, file: &str) {
        self.try_declare(file).await.unwrap();
    }

    async fn run_due(&self) -> usize {
        let clock = Arc::clone(&self.clock) as SharedClock;
        schedule::run_due(&self.control, &clock, &self.rng).await.unwrap()
    }

    async fn next_at(&self, name: &str) -> Option<OffsetDateTime> {
        let sql = "select next_at from jobs.schedules where name = $1";
        self.client.query_one(sql, &[&name]).await.unwrap().get(0)
    }
}

const HOURLY: &str =
    "[jobs.schedules.hourly]\ncron = \"0 * * * *\"\nkind = \"test.work\"\npayload = { a = 1 }\n";

#[tokio::test]
async fn schedule_fires_at_its_time_and_not_before() {
    let harness = Harness::new().await;
    harness.declare(HOURLY).await;
    assert_eq!(harness.run_due().await, 0);
    harness.clock.advance(time::Duration::seconds(30));
    assert_eq!((harness.run_due().await, harness.run_due().await), (1, 0));
    let payload: Value =
        harness.client.query_one("select payload from jobs.ready", &[]).await.unwrap().get(0);
    assert_eq!(payload, json!({ "a": 1, "scheduled_at": "2026-05-04T12:00:00Z" }));
    assert_eq!(harness.next_at("hourly").await, Some(datetime!(2026-05-04 13:00 UTC)));
}

#[tokio::test]
async fn many_processes_fire_each_time_once() {
    let harness = Harness::new().await;
    harness.declare(HOURLY).await;
    for round in 1..=3 {
        harness.clock.advance(time::Duration::hours(1));
        let mut racers = tokio::task::JoinSet::new();
        for _ in 0..16 {
            let (control, rng) = (harness.control.clone(), Arc::clone(&harness.rng));
            let clock = Arc::clone(&harness.clock) as SharedClock;
            racers.spawn(async move { schedule::run_due(&control, &clock, &rng).await.unwrap() });
        }
        let fired: usize = racers.join_all().await.into_iter().sum();
        assert_eq!((fired, count(&harness.client, "ready").await), (1, round));
    }
}

#[tokio::test]
async fn missed_times_follow_the_declared_policy() {
    let harness = Harness::new().await;
    let of = |missed: &str| {
        format!(
            "[jobs.schedules.{missed}]\ncron = \"0 * * * *\"\nkind = \"test.work\"\nmissed = \"{missed}\"\n"
        )
    };
    let file = ["skip", "once", "all"].map(of).concat();
    harness.declare(&file).await;
    harness.clock.advance(time::Duration::hours(5) + time::Duration::minutes(10));
    // The start after the outage changes nothing about it.
    harness.declare(&file).await;
    // skip makes none, once one, all six
    assert_eq!(harness.run_due().await, 1 + 6);
    let slots = "select string_agg(payload ->> 'scheduled_at', ' ' order by id) from jobs.ready where id <> \
                 (select last_job from jobs.schedules where name = 'once')";
    let made = text(&harness.client, slots).await;
    let expected: Vec<String> = (12..=17).map(|hour| format!("2026-05-04T{hour}:00:00Z")).collect();
    assert_eq!(made, expected.join(" "));
    assert_eq!(harness.next_at("skip").await, Some(datetime!(2026-05-04 18:00 UTC)));
}

#[tokio::test]
async fn declarations_are_idempotent_and_withdrawn_when_removed_from_the_file() {
    let harness = Harness::new().await;
    let queues = "[jobs.queues.slow]\nconcurrency = 2\nrate = 1.5\npaused = true\n";
    harness.declare(&format!("{HOURLY}{queues}")).await;
    harness.clock.advance(time::Duration::minutes(10));
    let before = harness.next_at("hourly").await;
    harness.declare(&format!("{HOURLY}{queues}")).await;
    assert_eq!(harness.next_at("hourly").await, before);
    let slow = "select format('%s %s %s %s', paused, concurrency, rate, declared) from jobs.queues where name = 'slow'";
    assert_eq!(text(&harness.client, slow).await, "t 2 1.5 t");
    harness.declare("").await;
    assert_eq!(text(&harness.client, slow).await, "t   f");
    assert_eq!(harness.next_at("hourly").await, None);
    let names: Vec<String> =
        schedule::list(&harness.client).await.unwrap().into_iter().map(|schedule| schedule.name).collect();
    assert_eq!(names, ["own"]);
    harness.clock.advance(time::Duration::hours(3));
    assert_eq!(harness.run_due().await, 0);
    // Back in the file it begins now and makes up for nothing.
    harness.declare(HOURLY).await;
    assert_eq!(harness.run_due().await, 0);
}

#[tokio::test]
async fn paused_schedule_does_not_fire_and_restarts_without_catching_up() {
    let harness = Harness::new().await;
    harness.declare(HOURLY).await;
    harness.declare(&format!("{HOURLY}paused = true\n")).await;
    harness.clock.advance(time::Duration::hours(3));
    assert_eq!(harness.run_due().await, 0);
    assert_eq!(schedule::list(&harness.client).await.unwrap()[0].next_at, None);
    harness.declare(HOURLY).await;
    assert_eq!(harness.run_due().await, 0);
    harness.clock.advance(time::Duration::hours(1));
    assert_eq!(harness.run_due().await, 1);
}

#[tokio::test]
async fn file_may_override_a_built_in_schedule() {
    let harness = Harness::new().await;
    harness.declare("").await;
    assert!(harness.next_at("own").await.unwrap() >= datetime!(2026-05-05 03:17 UTC));
    harness.declare("[jobs.schedules.own]\ncron = \"0 12 * * *\"\nkind = \"jobs.noop\"").await;
    assert_eq!(harness.next_at("own").await, Some(datetime!(2026-05-04 12:00 UTC)));
}

#[tokio::test]
async fn unknown_kinds_and_queues_are_reported_all_at_once_and_nothing_is_written() {
    let harness = Harness::new().await;
    let file = "[jobs.queues.slow]\n[jobs.schedules.a]\ncron = \"@daily\"\nkind = \"no.kind\"\nqueue = \"nowhere\"\n\
                [jobs.schedules.\"b.c\"]\ncron = \"@daily\"\nkind = \"jobs.noop\"\nqueue = \"elsewhere\"\n";
    // Other modules' migrations make queues of their own.
    let queues = count(&harness.client, "queues").await;
    let Err(ConfigError::Mistakes(mistakes)) = harness.try_declare(file).await else { panic!("accepted") };
    let keys: Vec<&str> = mistakes.iter().map(|mistake| mistake.split(": ").next().unwrap()).collect();
    assert_eq!(keys, ["jobs.schedules.a.kind", "jobs.schedules.a.queue", "jobs.schedules.\"b.c\".queue"]);
    assert_eq!(
        (count(&harness.client, "schedules").await, count(&harness.client, "queues").await),
        (0, queues)
    );
}

#[tokio::test]
async fn older_process_does_not_overwrite_a_newer_kind() {
    let harness = Harness::new().await;
    let sql = "update jobs.kinds set min_release = '1.10', max_attempts = 3 where name = 'test.work'";
    harness.client.batch_execute(sql).await.unwrap();
    harness.declare("").await;
    let kind = "select min_release || ' ' || max_attempts from jobs.kinds where name = 'test.work'";
    assert_eq!(text(&harness.client, kind).await, "1.10 3");
    harness
        .client
        .batch_execute("update jobs.kinds set min_release = '1.1.9' where name = 'test.work'")
        .await
        .unwrap();
    harness.declare("").await;
    assert_eq!(text(&harness.client, kind).await, "0 20");
}

#[tokio::test]
async fn failed_firing_stores_its_reason_and_the_schedule_continues() {
    let harness = Harness::new().await;
    let file = format!("{HOURLY}[jobs.schedules.other]\ncron = \"0 * * * *\"\nkind = \"jobs.noop\"\n");
    harness.declare(&file).await;
    let large = "update jobs.schedules set payload = jsonb_build_object('x', repeat('x', 300000)) where name = 'hourly'";
    harness.client.batch_execute(large).await.unwrap();
    harness.clock.advance(time::Duration::minutes(1));
    assert_eq!(harness.run_due().await, 1);
    let listed = schedule::list(&harness.client).await.unwrap();
    let result = listed[0].last_result.as_ref().unwrap();
    assert_eq!(result["state"], "failed");
    assert!(result["error"].as_str().unwrap().contains("at most 262144 bytes"), "{result}");
    assert_eq!(harness.next_at("hourly").await, Some(datetime!(2026-05-04 13:00 UTC)));
}

#[tokio::test]
async fn list_shows_the_outcome_of_the_last_job() {
    let harness = Harness::new().await;
    harness
        .declare(
            &format!("{HOURLY}[jobs.schedules.bad]\ncron = \"0 * * * *\"\nkind = \"test.bad\"\n")
                .replace("test.bad", "test.work"),
        )
        .await;
    let ran = schedule::run(&harness.client, harness.clock.now(), "hourly").await.unwrap().unwrap();
    let last = async |place: usize| {
        let listed = schedule::list(&harness.client).await.unwrap();
        (listed[place].last_job, listed[place].last_result.clone().unwrap_or_default())
    };
    let (job, result) = last(1).await;
    assert_eq!((job, &result["state"]), (Some(ran), &json!("ready")));
    let running = worker(&harness.db, harness.registry.clone()).await;
    idle(&harness.client).await;
    let (_, result) = last(1).await;
    assert_eq!((&result["state"], &result["result"]), (&json!("done"), &json!({ "well": true })));
    running.stop(Duration::from_secs(5)).await;
    let failing = registry(async |_| Err(JobError::Fatal("no ink".to_owned())));
    schedule::run(&harness.client, harness.clock.now(), "bad").await.unwrap().unwrap();
    let running = worker(&harness.db, failing).await;
    until_true(&harness.client, "exists (select from jobs.dead)").await;
    let (_, result) = last(0).await;
    assert_eq!((&result["state"], &result["error"]), (&json!("dead"), &json!("no ink")));
    running.stop(Duration::from_secs(5)).await;
    assert_eq!(schedule::run(&harness.client, harness.clock.now(), "nothing").await.unwrap(), None);
}

#[tokio::test]
async fn pruning_removes_expired_rows_and_nothing_else() {
    let harness = Harness::new().await;
    let fill = "insert into jobs.done (finished_at, partition, ids) \
                select now() - make_interval(days => d), 1, array[1000 + d] from generate_series(0, 9) d; \
                insert into jobs.results (id, finished_at, result, partition) \
                select 1000 + d, now() - make_interval(days => d), '1', 1 from generate_series(0, 9) d; \
                insert into jobs.log (id, at, attempt, line) \
                select d, now() - make_interval(days => d / 2000), 1, 'x' from generate_series(0, 19999) d; \
                insert into jobs.recent_starts (scope, at, counts, last_at) \
                values ('old', '{}', '{}', now() - interval '3 days'), ('new', '{}', '{}', now())";
    harness.client.batch_execute(fill).await.unwrap();
    let mut registry = Registry::new();
    let settings = settings("[jobs]\nkeep_done = \"84h\"\nkeep_results = \"36h\"\nkeep_log = \"60h\"");
    builtin::add_kinds(&mut registry, &harness.control, &settings);
    harness
        .client
        .batch_execute(
            "insert into jobs.kinds (name) values ('jobs.prune'); select jobs.enqueue('jobs.prune')",
        )
        .await
        .unwrap();
    let running = worker(&harness.db, registry).await;
    until_true(&harness.client, "exists (select from jobs.results where id < 1000)").await;
    running.stop(Duration::from_secs(5)).await;
    let kept = "select format('%s %s %s %s', (select count(*) from jobs.done where ids[1] >= 1000), \
                (select count(*) from jobs.results where id >= 1000), (select count(*) from jobs.log), \
                (select string_agg(scope, ' ') from jobs.recent_starts))";
    assert_eq!(text(&harness.client, kept).await, "4 2 6000 new");
    let result = text(&harness.client, "select result::text from jobs.results where id < 1000").await;
    assert_eq!(result, format!("{{\"removed\": {}}}", 6 + 8 + 14_000 + 1));
}

#[tokio::test]
async fn last_result_is_shown_after_the_job_is_pruned() {
    let harness = Harness::new().await;
    harness.declare(HOURLY).await;
    let ran = schedule::run(&harness.client, harness.clock.now(), "hourly").await.unwrap().unwrap();
    let running = worker(&harness.db, harness.registry.clone()).await;
    idle(&harness.client).await;
    running.stop(Duration::from_secs(5)).await;
    harness.client.batch_execute("select jobs.prune('{0,0,0,0,0}')").await.unwrap();
    assert_eq!((count(&harness.client, "done").await, count(&harness.client, "results").await), (0, 0));
    let listed = &schedule::list(&harness.client).await.unwrap()[0];
    let result = listed.last_result.as_ref().unwrap();
    assert_eq!((listed.last_job, &result["state"]), (Some(ran), &json!("done")));
    assert_eq!(result["result"], json!({ "well": true }));
    // Of the next job nothing is known yet but that it waits.
    schedule::run(&harness.client, harness.clock.now(), "hourly").await.unwrap().unwrap();
    let result = schedule::list(&harness.client).await.unwrap()[0].last_result.clone().unwrap();
    assert_eq!(result["state"], "ready");
}

#[tokio::test]
async fn process_with_a_wrong_clock_lets_others_fire_first_by_the_database_clock() {
    let harness = Harness::new().await;
    let there: OffsetDateTime =
        harness.client.query_one("select clock_timestamp()", &[]).await.unwrap().get(0);
    let own = FakeClock::at(there + Duration::from_secs(600));
    let clock = schedule::DatabaseClock::new(&(Arc::clone(&own) as SharedClock));
    let due = "insert into jobs.schedules (name, cron, timezone, kind, queue, missed, jitter, paused, built_in, slot, next_at) \
        select 'due', '* * * * *', 'UTC', 'jobs.noop', 'default', 'once', '0', false, false, date_trunc('minute', now()), now()";
    harness.client.batch_execute(due).await.unwrap();
    assert_eq!(schedule::lead(&harness.control, &clock, &harness.rng).await.unwrap(), 0);
    assert!(clock.is_wrong(), "{:?}", clock.skew());
    let said = schedule::clock_mistake(&harness.client, &*own).await.unwrap();
    assert!(said.is_some_and(|said| said.starts_with("this machine's clock is ")));
    let overdue = "update jobs.schedules set slot = date_trunc('minute', now()), next_at = now() - interval '5 s' \
                   where name = 'due'";
    harness.client.batch_execute(overdue).await.unwrap();
    assert_eq!(
        schedule::lead(&harness.control, &clock, &harness.rng).await.unwrap(),
        1,
        "nobody else has fired it"
    );
    let next = "select (next_at between clock_timestamp() and clock_timestamp() + interval '1 minute')::text \
                from jobs.schedules where name = 'due'";
    assert_eq!(text(&harness.client, next).await, "true", "by the database's clock");
    harness.client.batch_execute(overdue).await.unwrap();
    own.advance(time::Duration::seconds(-570));
    assert_eq!(schedule::lead(&harness.control, &clock, &harness.rng).await.unwrap(), 1);
    assert_eq!(schedule::clock_mistake(&harness.client, &*own).await.unwrap(), None);
    assert!(!clock.is_wrong() && clock.skew() > Duration::from_secs(20), "{:?}", clock.skew());
    let next = "select (next_at <= clock_timestamp() + interval '1 minute')::text from jobs.schedules where name = 'due'";
    assert_eq!(
        text(&harness.client, next).await,
        "true",
        "30 s ahead would be another minute, half of the time"
    );
}
