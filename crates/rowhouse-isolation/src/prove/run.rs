//! Runs probes in batches, each probe rolled back. Leaves what their outcomes mean to `judge`.

use rowhouse_db::DbError;
use serde::Deserialize;
use tokio_postgres::Client;

use super::scene::Actor;
use super::target::Probe;

const RUN: &str = include_str!("../../sql/prove/run.sql");

/// What came of a probe.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Outcome {
    /// SQLSTATE; `00000` for success.
    pub(crate) state: String,
    /// The message of an error.
    pub(crate) said: Option<String>,
    /// The value, of a probe that reads one.
    pub(crate) seen: Option<String>,
    /// What the look afterwards found.
    pub(crate) looked: Option<String>,
    /// Rows found or changed.
    pub(crate) rows: Option<i64>,
}

impl Outcome {
    pub(crate) fn is_done(&self) -> bool {
        self.state == "00000"
    }

    /// Whether a policy, a grant or the session check refused it; over HTTP the latter has PostgREST's code.
    pub(crate) fn is_refused(&self) -> bool {
        matches!(self.state.as_str(), "42501" | "RH401" | "RH403" | "PGRST303")
    }

    /// State and message.
    pub(crate) fn told(&self) -> String {
        match &self.said {
            Some(said) => format!("{said} ({})", self.state),
            None => format!("{} rows", self.rows.unwrap_or_default()),
        }
    }
}

/// Tells the database who the callers are.
pub(crate) async fn introduce(client: &Client, actors: &[Actor]) -> Result<(), DbError> {
    let text = serde_json::to_string(actors).map_err(|error| DbError::Protocol(error.to_string().into()))?;
    client.query_one("select set_config('rowhouse.prove_actors', $1, true)", &[&text]).await?;
    Ok(())
}

/// Runs a batch. If it runs into a time limit, every probe of it has that error.
pub(crate) async fn run(client: &Client, probes: &[Probe]) -> Result<Vec<Outcome>, DbError> {
    if probes.is_empty() {
        return Ok(Vec::new());
    }
    client.batch_execute("savepoint prove_batch").await?;
    let outcomes = attempt(client, probes).await;
    let outcomes = match outcomes {
        Err(DbError::Refused(refused)) => {
            let failed = Outcome {
                state: refused.code.clone(),
                said: Some(refused.message.clone()),
                ..Outcome::default()
            };
            vec![failed; probes.len()]
        }
        other => other?,
    };
    client.batch_execute("rollback to savepoint prove_batch; release savepoint prove_batch").await?;
    Ok(outcomes)
}

async fn attempt(client: &Client, probes: &[Probe]) -> Result<Vec<Outcome>, DbError> {
    let wrong = |error: serde_json::Error| DbError::Protocol(error.to_string().into());
    let text = serde_json::to_string(probes).map_err(wrong)?;
    client.query_one("select set_config('rowhouse.prove_probes', $1, true)", &[&text]).await?;
    client.batch_execute(RUN).await?;
    let row = client.query_one("select current_setting('rowhouse.prove_outcomes')", &[]).await?;
    serde_json::from_str(row.get(0)).map_err(wrong)
}
