//! The measured process: the jobs crate's example `noop_worker`, as a release build.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context, Result};
use serde_json::Value;

use super::database::Database;

const EXAMPLE: &str = "noop_worker";

pub(crate) fn build(root: &Path) -> Result<()> {
    let status = Command::new("cargo")
        .args(["build", "--release", "--package", "rowhouse-jobs", "--example", EXAMPLE])
        .current_dir(root)
        .status()?;
    anyhow::ensure!(status.success(), "the release build failed");
    Ok(())
}

/// A running worker. It ends when its standard input is closed.
pub(crate) struct Worker {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts it and returns when it claims.
    pub(crate) fn start(root: &Path, database: &Database) -> Result<Self> {
        Self::start_with(root, database, &[])
    }

    /// One that will say when each job started.
    pub(crate) fn start_noting_each(root: &Path, database: &Database) -> Result<Self> {
        Self::start_with(root, database, &["starts"])
    }

    fn start_with(root: &Path, database: &Database, arguments: &[&str]) -> Result<Self> {
        let mut child = Command::new(root.join("target/release/examples").join(EXAMPLE))
            .args(arguments)
            .env("DATABASE_URL", database.worker_url().expose())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting the worker")?;
        let mut output = BufReader::new(child.stdout.take().context("its output")?);
        let mut line = String::new();
        output.read_line(&mut line)?;
        anyhow::ensure!(line.trim() == "ready", "the worker did not start");
        Ok(Self { child, output })
    }

    /// Ends it.
    pub(crate) fn stop(self) -> Result<()> {
        self.end().map(drop)
    }

    /// Ends it; when each job started, in microseconds of Unix time by id.
    pub(crate) fn stop_with_starts(self) -> Result<HashMap<i64, i64>> {
        let said: Value = serde_json::from_str(&self.end()?).context("what the worker says")?;
        let starts = said.as_object().context("an object")?;
        starts.iter().map(|(id, at)| Ok((id.parse()?, at.as_i64().context("a time")?))).collect()
    }

    fn end(mut self) -> Result<String> {
        drop(self.child.stdin.take());
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        anyhow::ensure!(self.child.wait()?.success(), "the worker failed");
        Ok(line)
    }
}
