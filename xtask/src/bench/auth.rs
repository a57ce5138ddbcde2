//! `cargo xtask bench auth`: refresh and `GET /user` against pgbench running the same statements on the same server, GoTrue
//! on the same server where its program is given; tokens against the crypto library; sign-ins against the hash alone, and
//! what they leave to the data API.

mod chain;
mod cost;
mod login;
mod peer;

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::pgbench::{Pgbench, Repeat};
use super::report::{Limit, Row, dated_document, hundredths};
use super::scenario::Request;
use super::server::{Server, User};
use super::wrk::Wrk;
use super::{Effort, build, known, median, report};
use chain::Chains;
use cost::TokenCost;

/// Requests in flight, connections of the control plane, and clients of pgbench.
pub(super) const CONNECTIONS: u32 = 16;
/// Limits that a load from one address would meet.
const VARIABLES: [(&str, &str); 3] = [
    ("ROWHOUSE_AUTH__TOKEN_RATE_PER_5MIN", "1000000000"),
    ("ROWHOUSE_AUTH__SIGNIN_RATE_PER_5MIN", "1000000000"),
    ("ROWHOUSE_DB__CONTROL_POOL_SIZE", "16"),
];

/// Builds, measures, prints and, unless only a part was wanted, writes `docs/evidence/bench-auth.json`.
pub(crate) fn run(root: &Path, effort: &Effort, peers: Option<&Path>) -> Result<bool> {
    build(root)?;
    let cost = TokenCost::measure(root)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let (rows, limits) = runtime.block_on(measure(root, effort, &cost, peers))?;
    let document = document(root, effort, &rows, &limits);
    println!("{document:#}");
    if effort.only.is_none() {
        report::write(&document, &root.join("docs/evidence/bench-auth.json"))?;
    }
    Ok(document["holds"] == true)
}

async fn measure(
    root: &Path,
    effort: &Effort,
    cost: &TokenCost,
    peers: Option<&Path>,
) -> Result<(Vec<Row>, Vec<Limit>)> {
    let folder = tempfile::tempdir().context("a folder for the project")?;
    let (mut server, _) = Server::first_start(root, folder.path())?;
    server.restart(&VARIABLES)?;
    let user = server.sign_up().await?;
    let wrk = Wrk::new(&server, &user)?;
    let pgbench = Pgbench::of_login(&server, "rowhouse", CONNECTIONS)?;
    let chains = Chains::of_rowhouse(&server).await?;
    let mut rows = Vec::new();
    if effort.wants("refresh") {
        rows.push(refresh(&server, &pgbench, &chains, effort)?);
    }
    if effort.wants("user") {
        rows.push(get_user(&wrk, &pgbench, &user, effort)?);
    }
    let mut limits = cost.limits(effort);
    if effort.wants("login") {
        limits.extend(login::alone(&server, root, &user).await?);
        // Another user's: so many sign-ins end the oldest sessions of the one who signs in.
        let reader = server.sign_up_as("reader@example.com").await?;
        let wrk = Wrk::new(&server, &reader)?;
        limits.push(login::beside_reads(&server, &wrk, &reader, effort).await?);
    }
    if let (Some(folder), true) = (peers, effort.wants("refresh")) {
        limits.push(against_gotrue(&server, &chains, folder, effort).await);
    }
    server.stop()?;
    Ok((rows, limits))
}

/// Chains of refreshes, each token from the answer before, against the same statements.
fn refresh(server: &Server, pgbench: &Pgbench, chains: &Chains, effort: &Effort) -> Result<Row> {
    let script = chain::script();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..=effort.rounds {
        eprintln!("refresh: round {round} of {}", effort.rounds);
        chain::rewind(server)?;
        let mine = chains.run(effort.seconds)?;
        chain::rewind(server)?;
        let other = pgbench.run_text(&script, &chain::start(), Repeat::Seconds(effort.seconds))?;
        // The first round warms both sides up.
        if round > 0 {
            ours.push(mine);
            theirs.push(other);
        }
    }
    Ok(Row { name: "refresh", least_ratio: 0.7, ours: median(ours)?, pgbench: median(theirs)? })
}

fn get_user(wrk: &Wrk, pgbench: &Pgbench, user: &User, effort: &Effort) -> Result<Row> {
    let (script, variables) = read_user(user);
    let request = Request { method: "GET", path: "/auth/v1/user".to_owned(), body: None, writes: false };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..=effort.rounds {
        eprintln!("GET /user: round {round} of {}", effort.rounds);
        let mine = wrk.run(&request, CONNECTIONS, effort.seconds)?;
        let other = pgbench.run_text(&script, &variables, Repeat::Seconds(effort.seconds))?;
        if round > 0 {
            ours.push(mine);
            theirs.push(other);
        }
    }
    Ok(Row { name: "GET /user", least_ratio: 0.8, ours: median(ours)?, pgbench: median(theirs)? })
}

/// The statement of `GET /user`, and its variables.
fn read_user(user: &User) -> (String, Vec<(String, String)>) {
    let claim = |name: &str| user.claims[name].as_str().unwrap_or_default().to_owned();
    let sql = rowhouse_auth::USER_STATEMENT.replace('\n', " ").replace("$1", ":u").replace("$2", ":s");
    (format!("{sql};\n"), vec![("u".to_owned(), claim("sub")), ("s".to_owned(), claim("session_id"))])
}

/// Refreshes a second of GoTrue as a share of ours, in turns.
async fn against_gotrue(server: &Server, chains: &Chains, folder: &Path, effort: &Effort) -> Limit {
    let measured = async {
        let gotrue = peer::GoTrue::start(server, folder).await?;
        let (mut ours, mut others) = (Vec::new(), Vec::new());
        for round in 1..=effort.rounds {
            eprintln!("refresh of GoTrue: round {round} of {}", effort.rounds);
            chain::rewind(server)?;
            ours.push(chains.run(effort.seconds)?);
            others.push(Chains::of_gotrue(server, gotrue.url()).await?.run(effort.seconds)?);
        }
        let (ours, others) = (median(ours)?, median(others)?);
        eprintln!("ours: {:.0} a second, GoTrue: {:.0} a second", ours.per_second, others.per_second);
        anyhow::Ok(others.per_second / ours.per_second)
    };
    let measured = known("GoTrue", measured.await);
    Limit { what: "refreshes a second of GoTrue, against ours", unit: "×", most: 0.2, measured }
}

fn document(root: &Path, effort: &Effort, rows: &[Row], limits: &[Limit]) -> Value {
    let holds = rows.iter().all(|row| row.ratio() >= row.least_ratio) && limits.iter().all(Limit::holds);
    let mut document = dated_document("bench-auth", "cargo xtask bench auth", root);
    document["parameters"] = json!({
        "seconds": effort.seconds, "rounds": effort.rounds, "connections": CONNECTIONS,
    });
    document["scenarios"] = rows.iter().map(Row::json).collect();
    document["limits"] = limits.iter().map(Limit::json).collect();
    document["holds"] = holds.into();
    document
}

/// A difference or quotient, rounded as it is shown.
fn shown(number: f64) -> Option<f64> {
    number.is_finite().then(|| hundredths(number))
}
