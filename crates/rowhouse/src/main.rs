//! Table of contents: parse, run, report, exit.

use std::process::ExitCode;

use clap::Parser;
use rowhouse::cli::Cli;


fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
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
