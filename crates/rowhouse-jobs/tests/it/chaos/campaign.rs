//! The rounds, and what they are found to have done.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rowhouse_kernel::{Rng, SeededRng};
use rowhouse_testkit::{Cluster, LIMIT, TestDatabase, until, until_some};
use serde::Serialize;
use tokio::task::JoinSet;

use super::act::pause;
use super::link::{FROZEN, Link, Mode};
use super::load::{self, Load, connect};
use super::process::{Process, folder};
use super::recovery::{held, taken_over};

/// Killed in turn.
const VICTIMS: u64 = 3;
/// Stopped or cut off; and one that only the database's end disturbs.
const OTHERS: u64 = 3;
const BETWEEN: std::ops::Range<u64> = 600..1600;
/// Every so many rounds something else happens too.
const EXTRA: u64 = 3;
/// After a restart of the database no worker counts as dead for so long.
const RESTART_GRACE: Duration = Duration::from_secs(12);
/// For so many kills one more at the end, with nothing else happening: only there is it known what the worker's death cost,
/// since before that whoever takes over may be killed too.
const LONE: u64 = 20;
const QUIET: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy)]
enum Extra {
    Stop,
    Freeze,
    Swallow,
    Cut,
    Terminate,
    Database,
}

pub(super) struct Campaign {
    cluster: Cluster,
    url: String,
    folder: tempfile::TempDir,
    links: Vec<Link>,
    workers: Vec<Process>,
    chance: std::sync::Arc<SeededRng>,
    load: Load,
    report: CampaignReport,
    /// When the database was killed.
    restarts: Vec<Instant>,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct CampaignReport {
    pub(super) kills: u64,
    pub(super) extras: std::collections::BTreeMap<String, u64>,
    jobs: i64,
    transactions: u64,
    rolled_back: u64,
    lost_with_the_database: u64,
    /// Runs, and those of them that were not the first of their job.
    runs: i64,
    reruns: i64,
    effects: i64,
    refused_in_transactions: i64,
    /// From the workers' logs: ends that did not count, runs given up, jobs taken over, claims given back.
    refused: u64,
    given_up: u64,
    rescued: u64,
    unknown: u64,
    lone_kills: u64,
    slowest_takeover_ms: u128,
    slowest_takeover_amid_kills_ms: u128,
    slowest_takeover_with_database_restart_ms: u128,
    quiet_after_ms: u128,
    findings: Vec<String>,
}

impl Campaign {
    pub(super) async fn start(seed: u64) -> Self {
        let cluster = Cluster::start();
        let db = TestDatabase::on_own_cluster(&cluster).await;
        load::arrange(&db).await;
        let url = cluster.url("postgres", "postgres");
        let folder = folder();
        let sockets = sockets(&url);
        let links: Vec<Link> =
            (0..VICTIMS + OTHERS).map(|n| Link::open(&folder.path().join(n.to_string()), &sockets)).collect();
        let log = folder.path().join("workers.log");
        let workers = links.iter().map(|link| Process::start(&link.url(), &log)).collect();
        let load = Load::start(&url, seed);
        let (chance, report, restarts) = (SeededRng::new(seed), CampaignReport::default(), Vec::new());
        Self { cluster, url, folder, links, workers, chance, load, report, restarts }
    }

    pub(super) async fn run(mut self, rounds: u64) -> CampaignReport {
        let mut watches = JoinSet::new();
        let mut bag = Vec::new();
        for round in 1..=rounds {
            pause(Duration::from_millis(self.within(BETWEEN))).await;
            if round.is_multiple_of(EXTRA) {
                self.extra(&mut bag).await;
            }
            let victim = usize::try_from(self.within(0..VICTIMS)).unwrap();
            let had = held(&self.url, self.workers[victim].pid()).await;
            self.workers[victim].kill();
            self.report.kills += 1;
            watches.spawn(taken_over(self.url.clone(), had));
            self.workers[victim] = Process::start(&self.links[victim].url(), &self.log());
        }
        self.read_watches(watches).await;
        pause(RESTART_GRACE).await;
        for _ in 0..rounds / LONE {
            self.kill_one().await;
        }
        let counts = self.load.stop().await;
        self.report.transactions = counts.committed.load(Ordering::Relaxed);
        self.report.rolled_back = counts.rolled_back.load(Ordering::Relaxed);
        self.report.lost_with_the_database = counts.lost.load(Ordering::Relaxed);
        let quiet = Instant::now();
        until_quiet(&self.url).await;
        self.report.quiet_after_ms = quiet.elapsed().as_millis();
        self.report.read(&self.url).await;
        self.report.read_log(&std::fs::read_to_string(self.folder.path().join("workers.log")).unwrap());
        if self.report.complaints(rounds, Duration::MAX).is_some() {
            eprintln!("logs are kept in {}", self.folder.keep().display());
        }
        self.report
    }

    async fn read_watches(&mut self, watches: JoinSet<(Instant, Duration)>) {
        for (killed, took) in watches.join_all().await {
            let slowest = match is_calm(&self.restarts, killed, took) {
                true => &mut self.report.slowest_takeover_amid_kills_ms,
                false => &mut self.report.slowest_takeover_with_database_restart_ms,
            };
            *slowest = took.as_millis().max(*slowest);
        }
    }

    /// Kills a worker that holds jobs, waits until others have them all, and only then starts the next.
    async fn kill_one(&mut self) {
        let had = until_some("the worker holds jobs", LIMIT, async || {
            let had = held(&self.url, self.workers[0].pid()).await;
            (!had.is_nothing()).then_some(had)
        });
        let had = had.await;
        self.workers[0].kill();
        self.report.lone_kills += 1;
        let (_, took) = taken_over(self.url.clone(), had).await;
        self.report.slowest_takeover_ms = took.as_millis().max(self.report.slowest_takeover_ms);
        self.workers[0] = Process::start(&self.links[0].url(), &self.log());
    }

    fn log(&self) -> std::path::PathBuf {
        self.folder.path().join("workers.log")
    }

    fn within(&self, range: std::ops::Range<u64>) -> u64 {
        let mut bytes = [0; 8];
        self.chance.fill(&mut bytes);
        range.start + u64::from_le_bytes(bytes) % (range.end - range.start)
    }

    /// Extras come in shuffled sixes, so that even a short campaign meets them all.
    async fn extra(&mut self, bag: &mut Vec<Extra>) {
        if bag.is_empty() {
            *bag = vec![
                Extra::Stop,
                Extra::Freeze,
                Extra::Swallow,
                Extra::Cut,
                Extra::Terminate,
                Extra::Database,
            ];
        }
        let extra = bag.swap_remove(usize::try_from(self.within(0..bag.len() as u64)).unwrap());
        *self.report.extras.entry(format!("{extra:?}").to_lowercase()).or_default() += 1;
        let (first, second) = (usize::try_from(VICTIMS).unwrap(), usize::try_from(VICTIMS).unwrap() + 1);
        match extra {
            Extra::Stop => {
                self.workers[first].signal(Signal::SIGSTOP);
                let pid = Pid::from_raw(self.workers[first].pid());
                tokio::spawn(async move {
                    pause(FROZEN).await;
                    let _gone = kill(pid, Signal::SIGCONT);
                });
            }
            Extra::Freeze => self.links[second].set_for(Mode::Freeze, FROZEN),
            Extra::Swallow => {
                self.links[first].set_for(Mode::Swallow, Duration::from_millis(300));
                self.links[second].set_for(Mode::Swallow, Duration::from_millis(700));
            }
            Extra::Cut => {
                self.links.iter().for_each(|link| link.set_for(Mode::Cut, Duration::from_millis(20)));
            }
            Extra::Terminate => {
                let sql = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
                           where application_name = 'rowhouse-control'";
                let _gone = connect(&self.url).await.execute(sql, &[]).await;
            }
            Extra::Database => self.restart().await,
        }
    }

    async fn restart(&mut self) {
        let postmaster = Pid::from_raw(self.cluster.postmaster());
        kill(postmaster, Signal::SIGKILL).unwrap();
        // Whoever cleans up after it may take a moment, and its lock lasts as long as its number.
        let gone = async || self.cluster.processes().is_empty() && kill(postmaster, None).is_err();
        until("the server is gone", LIMIT, gone).await;
        tokio::task::block_in_place(|| self.cluster.restart());
        self.restarts.push(Instant::now());
    }
}

/// Whether the database stood, from long enough before the kill until the jobs were taken over.
fn is_calm(restarts: &[Instant], killed: Instant, took: Duration) -> bool {
    !restarts.iter().any(|restart| (killed - RESTART_GRACE..killed + took).contains(restart))
}

async fn until_quiet(url: &str) {
    let sql = "select not exists (select from jobs.ready) and not exists (select from jobs.leases) \
               and not exists (select from jobs.scheduled) and not exists (select from jobs.waiting)";
    let (begun, client) = (Instant::now(), connect(url).await);
    while begun.elapsed() < QUIET && !client.query_one(sql, &[]).await.unwrap().get::<_, bool>(0) {
        pause(Duration::from_millis(100)).await;
    }
}

fn sockets(url: &str) -> std::path::PathBuf {
    let config: tokio_postgres::Config = url.parse().unwrap();
    let tokio_postgres::config::Host::Unix(folder) = &config.get_hosts()[0] else {
        unreachable!("a test cluster")
    };
    folder.clone()
}

impl CampaignReport {
    async fn read(&mut self, url: &str) {
        let client = connect(url).await;
        let number = async |sql: &str| client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0);
        self.jobs = number("select count(*) from chaos.sent").await;
        self.runs = number("select count(*) from chaos.runs").await;
        self.reruns = number("select count(*) - count(distinct id) from chaos.runs").await;
        self.effects = number("select count(*) from chaos.effects").await;
        self.refused_in_transactions = number("select count(*) from chaos.refused").await;
        let rows = client.query("select finding, figure, example from chaos.verdict()", &[]).await.unwrap();
        let describe = |row: &tokio_postgres::Row| {
            let (what, count, id): (String, i64, Option<String>) = (row.get(0), row.get(1), row.get(2));
            format!("{what}: {count}, for example {}", id.unwrap_or_default())
        };
        self.findings = rows.iter().map(describe).collect();
    }

    fn read_log(&mut self, log: &str) {
        let sum = |field: &str| -> u64 {
            let name = format!("{field}=");
            let numbers = log.lines().filter_map(|line| line.split_once(&name)).map(|(_, rest)| {
                rest.split(|c: char| !c.is_ascii_digit())
                    .next()
                    .unwrap_or_default()
                    .parse::<u64>()
                    .unwrap_or(0)
            });
            numbers.sum()
        };
        (self.refused, self.given_up) = (sum("refused"), sum("lost"));
        (self.rescued, self.unknown) = (sum("rescued"), sum("unknown"));
        if log.contains("panicked at") {
            self.findings.push("a worker panicked".to_owned());
        }
    }

    pub(super) fn complaints(&self, rounds: u64, takeover: Duration) -> Option<String> {
        let holds = self.findings.is_empty()
            && self.kills == rounds
            && self.slowest_takeover_ms > 0
            && self.slowest_takeover_ms < takeover.as_millis()
            && self.rescued > 0
            && self.jobs > 100
            && self.rolled_back > 0;
        (!holds).then(|| format!("{self:#?}"))
    }
}
