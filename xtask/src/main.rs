//! Development commands of the project; each has a module of its own.
#![expect(clippy::print_stdout, reason = "a command-line tool for developers; its answer is its output")]

mod bench;
mod check;
mod deny;
mod generate;
mod tidy;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Development commands of the project.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Check the tidy rules: floors, sizes, names, pages. One line per finding.
    Tidy,
    /// Run the campaigns that are too long for `./test`; each leaves its result in docs/evidence.
    Check {
        /// Required: this takes minutes to hours.
        #[arg(long, required = true)]
        long: bool,
        /// Only this campaign.
        #[arg(long)]
        only: Option<check::Name>,
        /// Kills in the campaigns that kill: 50 of the program, 200 of workers where nothing is said.
        #[arg(long)]
        rounds: Option<u32>,
        /// Minutes of schema changes in the property campaign; 10 where nothing is said.
        #[arg(long)]
        minutes: Option<u32>,
        /// Seed of the random choices.
        #[arg(long, default_value_t = 20_261_121)]
        seed: u64,
        /// The program for the campaign of backups; target/release/rowhouse where nothing is said.
        #[arg(long)]
        binary: Option<PathBuf>,
        /// Size of the cluster in the campaign of backups, in GiB; 2 where nothing is said.
        #[arg(long)]
        gib: Option<f64>,
    },
    /// Check licences, sources and banned crates of everything that is compiled.
    Deny {
        /// A checkout of RustSec's advisory database, to look for known vulnerabilities as well.
        #[arg(long)]
        advisories: Option<PathBuf>,
    },
    /// Measure.
    #[command(subcommand)]
    Bench(Bench),
    /// Write the generated pages.
    Gen {
        /// Write nothing; exit 1 if a page is stale.
        #[arg(long)]
        check: bool,
    },
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// The data API against pgbench running the same transaction; needs wrk.
    Rest {
        /// Seconds per measurement.
        #[arg(long, default_value_t = 6)]
        seconds: u32,
        /// Measurements per side.
        #[arg(long, default_value_t = 5)]
        rounds: u32,
        /// Only scenarios with this in their name; the result is printed and not written.
        #[arg(long)]
        only: Option<String>,
        /// Only reads over TLS to PostgreSQL against plain text; needs openssl.
        #[arg(long, conflicts_with = "only")]
        tls: bool,
    },
    /// Sign-ins, refreshes and tokens against pgbench running the same statements; needs wrk.
    Auth {
        /// Seconds per measurement.
        #[arg(long, default_value_t = 6)]
        seconds: u32,
        /// Measurements per side.
        #[arg(long, default_value_t = 3)]
        rounds: u32,
        /// A folder with GoTrue's program, named `auth`, and its `migrations`: measured as well.
        #[arg(long)]
        peers: Option<PathBuf>,
        /// Only figures with this in their name; the result is printed and not written.
        #[arg(long)]
        only: Option<String>,
    },
    /// Reloads of a schema of thousands of tables, with requests under way.
    Schema {
        /// Tables.
        #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..=50_000))]
        tables: u32,
        /// Reloads, of which the median counts.
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000))]
        rounds: u32,
    },
    /// Mails submitted over SMTP, each durable before it is acknowledged.
    Mail {
        /// Seconds per measurement.
        #[arg(long, default_value_t = 10)]
        seconds: u32,
        /// Connections at once.
        #[arg(long, default_value_t = 64)]
        connections: u32,
    },
    /// Lists, searches, the launcher, the sync and a bulk suspension in an installation of many users and tenants.
    Tenancy {
        /// Users; with fewer than the promises speak of the result is not kept.
        #[arg(long, default_value_t = bench::tenancy::USERS, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
        users: u32,
        /// Tenants, likewise.
        #[arg(long, default_value_t = bench::tenancy::TENANTS, value_parser = clap::value_parser!(u32).range(50..=100_000))]
        tenants: u32,
        /// Requests of each kind.
        #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(20..=100_000))]
        requests: u32,
        /// Measure this program instead of a release build; the result is not kept.
        #[arg(long)]
        binary: Option<PathBuf>,
    },
    /// Durable jobs that do nothing, against a PostgreSQL of its own.
    Jobs {
        /// Seconds per measurement of a steady load.
        #[arg(long, default_value_t = 10)]
        seconds: u32,
        /// Measurements of each kind.
        #[arg(long, default_value_t = 3)]
        rounds: u32,
        /// Jobs drained in one measurement.
        #[arg(long, default_value_t = 200_000)]
        jobs: u32,
        /// How long a snapshot is held open; the promise is about 10.
        #[arg(long, default_value_t = 1.0)]
        snapshot_minutes: f64,
        /// Tenants with a job each; with fewer than the promises speak of the result is not kept.
        #[arg(long, default_value_t = bench::jobs::TENANTS, value_parser = clap::value_parser!(u32).range(1_000..=1_000_000))]
        tenants: u32,
        /// Run graphile-worker, pg-boss and BullMQ as well; needs npm and redis-server.
        #[arg(long)]
        peers: bool,
        /// Only scenarios with this in their name; the result is printed and not written.
        #[arg(long)]
        only: Option<String>,
    },
}

fn main() -> ExitCode {
    let done = match Cli::parse().chore {
        Chore::Tidy => tidy::run(&root()),
        Chore::Check { long: _, only, rounds, minutes, seed, binary, gib } => {
            let backups = check::BackupWish { binary, gib };
            check::run(&root(), &check::Effort { only, rounds, minutes, seed, backups })
        }
        Chore::Deny { advisories } => deny::run(&root(), advisories.as_deref()),
        Chore::Bench(Bench::Rest { seconds, rounds, only, tls }) => {
            let only = if tls { Some("TLS".to_owned()) } else { only };
            bench::run(&root(), &bench::Effort { seconds, rounds, only })
        }
        Chore::Bench(Bench::Auth { seconds, rounds, peers, only }) => {
            bench::auth::run(&root(), &bench::Effort { seconds, rounds, only }, peers.as_deref())
        }
        Chore::Bench(Bench::Schema { tables, rounds }) => {
            bench::schema::run(&root(), bench::schema::Size { tables, rounds })
        }
        Chore::Bench(Bench::Mail { seconds, connections }) => {
            bench::mail::run(&root(), bench::mail::Load { seconds, connections })
        }
        Chore::Bench(Bench::Tenancy { users, tenants, requests, binary }) => {
            bench::tenancy::run(&root(), &bench::tenancy::Size { users, tenants, requests, binary })
        }
        Chore::Bench(Bench::Jobs { seconds, rounds, jobs, snapshot_minutes, tenants, peers, only }) => {
            bench::jobs::run(
                &root(),
                &bench::jobs::Effort { seconds, rounds, jobs, snapshot_minutes, tenants, peers, only },
            )
        }
        Chore::Gen { check: false } => generate::write(&root()),
        Chore::Gen { check: true } => generate::check(&root()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// The repository's root: the folder above this package.
fn root() -> PathBuf {
    let package = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    package.parent().map(PathBuf::from).unwrap_or(package)
}
