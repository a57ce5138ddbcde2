//! `cargo xtask check --long`: campaigns of minutes to hours, each leaving a dated JSON in `docs/evidence/`.
//! Tests for every change are in `./test`.

mod backups;
mod evidence;
mod mail;
mod property;
mod tenants;

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use rowhouse_testkit::crash::{Campaign, CrashReport};
use serde_json::json;

pub(crate) use backups::Wish as BackupWish;
pub(crate) use evidence::output;

use evidence::Evidence;

/// Cases per property when fuzzing at length; `./test` runs 256.
const FUZZ_CASES: &str = "200000";

/// The properties that are fuzzed: package, and a word that selects the tests.
const FUZZ_TARGETS: [(&str, &str); 14] = [
    ("rowhouse-rest", "parse::tests::parse_never_panics"),
    ("rowhouse-rest", "parse::tests::grammar_never_panics"),
    ("rowhouse-crypto", "ring::tests::arbitrary_text_is_refused_without_panic"),
    ("rowhouse-crypto", "ring::tests::arbitrary_parts_are_refused_without_panic"),
    ("rowhouse-crypto", "counter_token::tests::arbitrary_text_is_no_refresh_token"),
    ("rowhouse-crypto", "counter_token::tests::counter_has_one_token_and_every_changed_letter_is_refused"),
    (
        "rowhouse-crypto",
        "password::tests::arbitrary_hashes_of_an_import_match_nothing_and_cost_a_bounded_time",
    ),
    ("rowhouse-crypto", "trusted::tests::arbitrary_key_sets_and_tokens_are_refused_without_panic"),
    ("rowhouse-auth", "captcha::tests::arbitrary_answers_of_a_captcha_service_are_no_success"),
    ("rowhouse-auth", "hook::tests::arbitrary_answers_of_a_hook_are_read_or_refused"),
    ("rowhouse-auth", "redirect::tests::arbitrary_targets_stay_with_their_pattern"),
    ("rowhouse-auth", "route::external::tests::arbitrary_forms_of_a_callback_are_read_and_led_on"),
    ("rowhouse-auth", "provider::directory::tests::arbitrary_discovery_documents_are_read_or_refused"),
    (
        "rowhouse-auth",
        "provider::directory::tests::arbitrary_claims_of_an_id_token_are_accepted_for_this_client_alone",
    ),
];

/// Default number of kills.
const CRASH_ROUNDS: u32 = 50;
const JOBS_ROUNDS: u32 = 200;
/// How long the schema changes between requests.
const PROPERTY_MINUTES: u32 = 10;
/// Workers that race for one cap; `./test` has eight.
const JOBS_RACERS: &str = "64";
const JOBS: [&str; 2] = [
    "chaos::every_committed_job_ends_exactly_once_however_workers_and_databases_end",
    "chaos::race::cap_of_a_queue_is_reached_and_never_exceeded_by_racing_workers",
];

/// A campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Name {
    /// kill -9 of the program, its PostgreSQL or both, under load
    Crash,
    /// Random requests and tokens against their parsers
    Fuzz,
    /// Random requests against protected tables, compared with plain SQL
    Property,
    /// kill -9 of workers and their database under load, and the outcome of every job
    Jobs,
    /// An outage of the mail relay for ten minutes, and kill -9 of the program
    Mail,
    /// Random requests of a hundred tenants over every surface, and rows of others that they reach
    Tenants,
    /// Restores to random times, killed backups, damage in the store, and what backups cost, by a release binary
    Backups,
}

/// Which campaigns, and how long.
#[derive(Debug, Clone)]
pub(crate) struct Effort {
    /// Only this one.
    pub(crate) only: Option<Name>,
    /// Kills.
    pub(crate) rounds: Option<u32>,
    /// Duration of the changes of the schema.
    pub(crate) minutes: Option<u32>,
    pub(crate) seed: u64,
    /// Of the campaign of backups.
    pub(crate) backups: BackupWish,
}

/// Runs the campaigns; true if all succeeded.
pub(crate) fn run(root: &Path, effort: &Effort) -> Result<bool> {
    let Effort { only, rounds, minutes, seed, .. } = *effort;
    let wanted = |name| only.is_none_or(|only| only == name);
    let mut held = true;
    if wanted(Name::Crash) {
        held &= crash(root, rounds.unwrap_or(CRASH_ROUNDS), seed)?;
    }
    if wanted(Name::Fuzz) {
        held &= fuzz(root)?;
    }
    if wanted(Name::Property) {
        held &= property::run(root, minutes.unwrap_or(PROPERTY_MINUTES), seed)?;
    }
    if wanted(Name::Jobs) {
        held &= jobs(root, rounds.unwrap_or(JOBS_ROUNDS), seed)?;
    }
    if wanted(Name::Mail) {
        held &= mail::run(root)?;
    }
    if wanted(Name::Tenants) {
        held &= tenants::run(root, seed)?;
    }
    if wanted(Name::Backups) {
        held &= backups::run(root, &effort.backups, rounds, seed)?;
    }
    Ok(held)
}

fn crash(root: &Path, rounds: u32, seed: u64) -> Result<bool> {
    cargo(root, &["build", "--package", "rowhouse"], None)?;
    let campaign = Campaign {
        binary: root.join("target/debug/rowhouse"),
        project: root.join("examples/todos"),
        rounds,
        seed,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let report = runtime.block_on(campaign.run(|round| {
        eprintln!(
            "crash: round {} of {rounds}: {:?}, well after {} ms",
            round.number, round.victim, round.recovery_ms
        );
    }));
    let verdict = report.require_success(&campaign);
    if let Err(error) = &verdict {
        eprintln!("crash: {error:#}");
    }
    let parameters = json!({ "rounds": rounds, "seed": seed });
    Evidence { name: "crash", only: "crash", parameters, holds: verdict.is_ok(), figures: figures(&report)? }
        .write(root)?;
    Ok(verdict.is_ok())
}

fn figures(report: &CrashReport) -> Result<serde_json::Value> {
    let mut recovery: Vec<u64> = report.rounds.iter().map(|round| round.recovery_ms).collect();
    recovery.sort_unstable();
    let middle = recovery.get(recovery.len() / 2);
    Ok(json!({
        "recovery_ms": { "least": recovery.first(), "median": middle, "most": recovery.last() },
        "lost": report.lost.len(),
        "report": serde_json::to_value(report)?,
    }))
}

fn fuzz(root: &Path) -> Result<bool> {
    let mut figures = Vec::new();
    for (package, target) in FUZZ_TARGETS {
        eprintln!("fuzz: {target}, {FUZZ_CASES} cases");
        let output =
            cargo(root, &["test", "--package", package, "--lib", "--", "--exact", target], Some(FUZZ_CASES));
        let held = match output {
            // A target that no longer exists must not count as success.
            Ok(text) => text.contains("test result: ok. 1 passed"),
            Err(error) => {
                eprintln!("fuzz: {error:#}");
                false
            }
        };
        figures.push(json!({ "target": format!("{package}::{target}"), "held": held }));
    }
    let holds = figures.iter().all(|figure| figure["held"] == true);
    Evidence {
        name: "fuzz",
        only: "fuzz",
        parameters: json!({ "cases": FUZZ_CASES }),
        holds,
        figures: json!(figures),
    }
    .write(root)?;
    Ok(holds)
}

fn jobs(root: &Path, rounds: u32, seed: u64) -> Result<bool> {
    let arguments = ["test", "--package", "rowhouse-jobs", "--test", "it", "--"];
    // Sequentially: each needs the whole machine.
    let more = ["--exact", "--nocapture", "--test-threads=1"];
    let mut command = Command::new("cargo");
    command.args(arguments).args(more).args(JOBS).current_dir(root).stderr(std::process::Stdio::inherit());
    command.env("ROWHOUSE_CHAOS_ROUNDS", rounds.to_string()).env("ROWHOUSE_CHAOS_SEED", seed.to_string());
    command.env("ROWHOUSE_CHAOS_WORKERS", JOBS_RACERS);
    let output = command.output().context("cargo")?;
    let text = String::from_utf8_lossy(&output.stdout);
    // A target that no longer exists must not count as success.
    let holds = output.status.success() && text.contains("test result: ok. 2 passed");
    let report = |name: &str| -> Result<serde_json::Value> {
        let line = text.lines().find_map(|line| line.split_once(name));
        Ok(serde_json::from_str(line.map_or("null", |(_, report)| report))?)
    };
    let figures = json!({ "campaign": report("chaos: ")?, "race": report("race: ")? });
    let parameters = json!({ "rounds": rounds, "seed": seed });
    Evidence { name: "jobs-chaos", only: "jobs", parameters, holds, figures }.write(root)?;
    Ok(holds)
}

/// Runs cargo and returns what it printed.
fn cargo(root: &Path, args: &[&str], cases: Option<&str>) -> Result<String> {
    let mut command = Command::new("cargo");
    command.args(args).current_dir(root);
    if let Some(cases) = cases {
        command.env("PROPTEST_CASES", cases);
    }
    let output = command.output().context("cargo")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cargo {}: {errors}{text}", args.join(" "));
    Ok(text)
}
