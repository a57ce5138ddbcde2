//! The script that decides about a request in one step on the server. Leaves the allowances to `Quota::take`, which computes
//! them from what the script returns.

use std::time::Duration;

use redis::{RedisResult, Script};
use rowhouse_http::limit::{Allowance, Charge};

use crate::key::Prefix;
use crate::link::Connection;

/// The probe's step: its key is gone after so long.
const PROBE: Duration = Duration::from_millis(1);

/// Whether a request is counted, or only looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counting {
    Take,
    Look,
}

/// The script.
#[derive(Debug)]
pub(crate) struct Gcra(Script);

impl Gcra {
    pub(crate) fn new() -> Self {
        Self(Script::new(include_str!("gcra.lua")))
    }

    /// The allowance of each charge. `now` is the time since 1970; `None` is the server's.
    pub(crate) async fn run(
        &self,
        connection: &mut Connection,
        prefix: &Prefix,
        charges: &[Charge],
        counting: Counting,
        now: Option<Duration>,
    ) -> RedisResult<Vec<Allowance>> {
        let mut call = self.0.prepare_invoke();
        for charge in charges {
            call.key(prefix.of(&charge.key));
        }
        call.arg(u32::from(counting == Counting::Take));
        match now {
            Some(now) => call.arg(now.as_secs()).arg(now.subsec_nanos()),
            None => call.arg("").arg(""),
        };
        for charge in charges {
            call.arg(nanos(charge.quota.step())).arg(nanos(charge.quota.window()));
        }
        let owed = connection.invoke(&call).await?;
        let owed = owed.into_iter().map(Duration::from_nanos);
        Ok(charges.iter().zip(owed).map(|(charge, owed)| allowance(charge, owed)).collect())
    }

    /// Whether the script may run and write.
    pub(crate) async fn probe(&self, connection: &mut Connection, prefix: &Prefix) -> RedisResult<()> {
        let mut call = self.0.prepare_invoke();
        call.key(prefix.probe()).arg(1).arg("").arg("");
        call.arg(nanos(PROBE)).arg(nanos(Duration::from_hours(1)));
        connection.invoke(&call).await.map(drop)
    }
}

/// As if the time began now: only differences count.
fn allowance(charge: &Charge, owed: Duration) -> Allowance {
    charge.quota.take(Some(owed), Duration::ZERO).1
}

fn nanos(time: Duration) -> String {
    time.as_nanos().to_string()
}

#[cfg(test)]
mod tests;
