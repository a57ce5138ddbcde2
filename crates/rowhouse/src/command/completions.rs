//! `completions`: a script for the shell.

use serde_json::json;

use crate::cli::command;
use rowhouse_module::{CommandOutcome, Modules};

pub(super) fn run(modules: &Modules, shell: clap_complete::Shell) -> CommandOutcome {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(modules), "rowhouse", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    CommandOutcome::yes(json!({ "shell": shell.to_string(), "script": script }), script)
}
