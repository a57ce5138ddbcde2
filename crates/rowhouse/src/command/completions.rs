//! `completions`: a script for the shell.

use clap::CommandFactory;
use serde_json::json;

use crate::cli::Cli;
use crate::outcome::Outcome;

pub(super) fn run(shell: clap_complete::Shell) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "rowhouse", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    Outcome::yes(json!({ "shell": shell.to_string(), "script": script }), script)
}
