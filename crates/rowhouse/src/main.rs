//! Table of contents: parse, run, report, exit.

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use rowhouse::cli::Cli;
use rowhouse::outcome::CannotRun;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _closed_terminal = error.print();
            return ExitCode::from(2);
        }
        Err(error) if error.use_stderr() => {
            let as_json = std::env::args().any(|argument| argument == "--json");
            return rowhouse::outcome::report(as_json, Err(misuse(&error)));
        }
        Err(help_or_version) => {
            let _closed_terminal = help_or_version.print();
            return ExitCode::SUCCESS;
        }
    };
    let as_json = cli.json;
    let result = rowhouse::command::run(cli);
    rowhouse::telemetry::flush();
    rowhouse::outcome::report(as_json, result)
}

/// The reason and the tip in one line, without the usage that follows them.
fn misuse(error: &clap::Error) -> CannotRun {
    let text = error.to_string();
    let wanted = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .take_while(|line| !line.starts_with("Usage:"));
    let line = wanted.filter(|line| !line.starts_with("For more")).collect::<Vec<_>>().join(" ");
    CannotRun::because(format!("{} (see --help)", line.trim_start_matches("error: ")))
}
