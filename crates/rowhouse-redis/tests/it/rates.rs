//! Sharing, and what happens while the server cannot be used.

use std::time::Duration;

use rowhouse_http::limit::{Allowance, Charge, LimitName, Quota, RateKey, RateStore, Subject};
use rowhouse_http::{BackgroundTask, Supervisor};
use rowhouse_kernel::Secret;
use rowhouse_redis::{RedisRates, RedisSettings, probe};
use rowhouse_testkit::{LIMIT, RedisServer, until};

/// A process's store; its task ends with the value.
pub(crate) struct Process {
    pub(crate) rates: RedisRates,
    _tasks: Supervisor,
}

/// On a busy machine no answer is late.
pub(crate) fn settings(url: String) -> RedisSettings {
    RedisSettings { url: Some(Secret::new(url)), timeout: Duration::from_secs(1), ..RedisSettings::default() }
}

impl Process {
    pub(crate) fn start(settings: &RedisSettings, database: &str) -> Self {
        let (rates, tasks) = (RedisRates::new(settings, database).unwrap().unwrap(), Supervisor::default());
        let kept = rates.clone();
        let keep = move |heartbeat| kept.clone().keep_connected(heartbeat);
        tasks.spawn(BackgroundTask::new("redis.connection", keep));
        Self { rates, _tasks: tasks }
    }

    pub(crate) async fn started(settings: &RedisSettings, database: &str) -> Self {
        let process = Self::start(settings, database);
        process.works().await;
        process
    }

    pub(crate) async fn works(&self) {
        until("Redis is used", LIMIT, async || self.rates.check().is_ok()).await;
    }

    /// One request with a budget of three in an hour: what was left before it.
    pub(crate) async fn count(&self) -> u32 {
        let allowances = self.rates.take(&charges()).await.unwrap();
        let left = |allowance: &Allowance| allowance.retry_after.map_or(allowance.remaining + 1, |_| 0);
        allowances.iter().map(left).min().unwrap_or_default()
    }
}

fn charges() -> [Charge; 2] {
    let charge = |subject, burst| Charge {
        key: RateKey { limit: LimitName::new("test"), subject },
        quota: Quota::new(burst, Duration::from_hours(1)),
    };
    [charge(Subject::key("a"), 3), charge(Subject::plan("b"), 100)]
}

#[tokio::test]
async fn processes_share_a_budget_and_databases_and_prefixes_do_not() {
    let server = RedisServer::start().await;
    let own = settings(server.url());
    let (one, two) = (Process::started(&own, "d").await, Process::started(&own, "d").await);
    assert_eq!([one.count().await, two.count().await, one.count().await, two.count().await], [3, 2, 1, 0]);
    let refused = two.rates.take(&charges()).await.unwrap();
    let [refused, other] = refused.as_slice() else { panic!("{refused:?}") };
    let wait = refused.retry_after.unwrap();
    assert!((1190..=1200).contains(&wait.as_secs()), "{wait:?}");
    assert_eq!((other.retry_after, other.remaining), (None, 96), "the refused ones were not counted");

    assert_eq!(Process::started(&own, "e").await.count().await, 3);
    let staging = RedisSettings { key_prefix: "staging".to_owned(), ..own };
    assert_eq!(Process::started(&staging, "d").await.count().await, 3);
}

#[tokio::test]
async fn looking_counts_nothing() {
    let server = RedisServer::start().await;
    let process = Process::started(&settings(server.url()), "d").await;
    let look = async || -> Vec<Allowance> { process.rates.look(&charges()).await.unwrap() };
    assert_eq!((look().await[0].remaining, look().await[0].remaining), (2, 2));
    assert_eq!((process.count().await, look().await[0].remaining), (3, 1));
}

#[tokio::test]
async fn requests_at_once_share_a_connection_and_none_is_counted_twice() {
    let server = RedisServer::start().await;
    let process = Process::started(&settings(server.url()), "d").await;
    let charge = [Charge {
        key: RateKey { limit: LimitName::new("test"), subject: Subject::key("many") },
        quota: Quota::new(100, Duration::from_hours(1)),
    }];
    let count = || {
        let (rates, charge) = (process.rates.clone(), charge.clone());
        tokio::spawn(async move { rates.take(&charge).await.unwrap()[0].retry_after.is_none() })
    };
    let counting: Vec<_> = (0..150).map(|_| count()).collect();
    let mut allowed = 0;
    for counted in counting {
        allowed += u32::from(counted.await.unwrap());
    }
    assert_eq!(allowed, 100);
}

#[tokio::test]
async fn killed_server_is_given_up_and_used_again() {
    let mut server = RedisServer::start().await;
    let process = Process::started(&settings(server.url()), "d").await;
    assert_eq!(process.count().await, 3);
    server.stop();
    assert!(process.rates.take(&charges()).await.is_err());
    let why = process.rates.take(&charges()).await.unwrap_err();
    assert_eq!(why.0, "Redis is not used for the moment", "nothing waits for the connection");
    assert!(process.rates.check().is_err());
    server.start_again().await;
    process.works().await;
    assert_eq!(process.count().await, 3);
}

#[tokio::test]
async fn frozen_server_delays_one_request_by_the_time_that_is_set() {
    let server = RedisServer::start().await;
    let quick = RedisSettings { timeout: Duration::from_millis(100), ..settings(server.url()) };
    let process = Process::started(&quick, "d").await;
    server.freeze();
    let first = process.rates.take(&charges()).await.unwrap_err();
    assert_eq!(first.0, "no answer within 100ms");
    let second = process.rates.take(&charges()).await.unwrap_err();
    assert_eq!(second.0, "Redis is not used for the moment");
    assert_eq!(process.rates.check(), Err("no answer within 100ms".to_owned()));
    server.thaw();
    process.works().await;
}

#[tokio::test]
async fn server_that_answers_errors_is_given_up_until_it_does_not() {
    let server = RedisServer::start().await;
    let process = Process::started(&settings(server.url()), "d").await;
    assert_eq!(server.ask("CONFIG SET maxmemory 1").await, "+OK");
    let why = process.rates.take(&charges()).await.unwrap_err();
    assert!(why.0.contains("OOM"), "{why}");
    assert!(process.rates.check().is_err());
    assert_eq!(server.ask("CONFIG SET maxmemory 0").await, "+OK");
    process.works().await;
}

#[tokio::test]
async fn idle_process_finds_out_that_its_server_is_gone() {
    let mut server = RedisServer::start().await;
    let process = Process::started(&settings(server.url()), "d").await;
    server.stop();
    until("the probe fails", LIMIT, async || process.rates.check().is_err()).await;
}

#[tokio::test]
async fn wrong_password_is_said_and_nothing_is_counted() {
    let server = RedisServer::start().await;
    let wrong = settings(server.url().replace("test-redis", "wr0ng"));
    let process = Process::start(&wrong, "d");
    let said = async || process.rates.check().is_err_and(|why| why != "not connected yet");
    until("the reason", LIMIT, said).await;
    assert!(process.rates.take(&charges()).await.is_err());
    let why = process.rates.check().unwrap_err();
    assert!(!why.contains("wr0ng"), "{why}");
    assert!(probe(&wrong).await.unwrap().is_err());
}

#[tokio::test]
async fn cluster_takes_all_charges_of_a_request_in_one_script() {
    let server = RedisServer::start_cluster().await;
    let settings = RedisSettings { cluster: true, ..settings(server.url()) };
    let (one, two) = (Process::started(&settings, "d").await, Process::started(&settings, "d").await);
    assert_eq!([one.count().await, two.count().await, one.count().await, two.count().await], [3, 2, 1, 0]);
    let found = probe(&settings).await.unwrap().unwrap();
    assert!(found.text.contains("answers"), "{found:?}");
}

#[tokio::test]
async fn doctor_says_version_memory_and_policy() {
    let options = ["--maxmemory", "64mb", "--maxmemory-policy", "volatile-ttl"];
    let server = RedisServer::start_with(|_| options.map(str::to_owned).to_vec()).await;
    let found = probe(&settings(server.url())).await.unwrap().unwrap();
    let (version, memory) = found.text.split_once(" answers; ").unwrap();
    assert!(version.contains(|c: char| c.is_ascii_digit()), "{found:?}");
    assert_eq!((memory, found.notes.len()), ("at most 67108864 bytes, volatile-ttl", 0));
    assert!(probe(&RedisSettings::default()).await.is_none());
}
