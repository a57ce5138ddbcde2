//! Table of contents: parse, run, report, exit.

use std::process::ExitCode;

use clap::Parser;
use rowhouse::cli::Cli;
use rowhouse::outcome::CannotRun;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() && std::env::args().any(|argument| argument == "--json") => {
            return rowhouse::outcome::report(true, Err(misuse(&error)));
        }
        Err(error) => {
            // Help and version are answers, not failures; a terminal that went away needs neither.
            let _closed_terminal = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    let as_json = cli.json;
    let result = rowhouse::command::run(cli);
    rowhouse::telemetry::flush();
    rowhouse::outcome::report(as_json, result)
}

/// The reason without the usage lines that follow it.
fn misuse(error: &clap::Error) -> CannotRun {
    let text = error.to_string();
    let reason: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
    CannotRun::because(reason.join(" ").trim_start_matches("error: "))
}
