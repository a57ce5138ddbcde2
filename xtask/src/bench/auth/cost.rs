//! What a token and a hash cost in one thread, beside the crypto library: measured by `examples/token_cost.rs` of
//! rowhouse-http, which is built for release.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::shown;
use crate::bench::Effort;
use crate::bench::report::Limit;

/// Times in microseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct TokenCost {
    library_us: f64,
    uncached_us: f64,
    cached_us: f64,
    /// Of one password.
    pub(super) hash_us: f64,
}

impl TokenCost {
    pub(super) fn measure(root: &Path) -> Result<Self> {
        let mut command = Command::new("cargo");
        command.args([
            "run",
            "--quiet",
            "--release",
            "--package",
            "rowhouse-http",
            "--example",
            "token_cost",
        ]);
        let output = command.current_dir(root).output()?;
        anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let said: Value = serde_json::from_slice(&output.stdout)?;
        let number = |name: &str| said[name].as_f64().with_context(|| name.to_owned());
        Ok(Self {
            library_us: number("library_us")?,
            uncached_us: number("uncached_us")?,
            cached_us: number("cached_us")?,
            hash_us: number("hash_us")?,
        })
    }

    pub(super) fn limits(&self, effort: &Effort) -> Vec<Limit> {
        let uncached = shown(self.uncached_us / self.library_us);
        let limits = [
            ("verification of a token, against the crypto library's own verify", "×", 1.2, uncached),
            ("verification of a token that is known", "µs", 2.0, shown(self.cached_us)),
        ];
        let wanted = limits.into_iter().filter(|(what, ..)| effort.wants(what));
        wanted.map(|(what, unit, most, measured)| Limit { what, unit, most, measured }).collect()
    }
}
