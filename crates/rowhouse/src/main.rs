//! The entry point: parse, run, report, exit.

use std::process::ExitCode;

use clap::error::ErrorKind;
use rowhouse::cli;
use rowhouse_module::CannotRun;

/// As shells report the end by SIGINT.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let modules = rowhouse::modules::modules();
    let (invocation, as_json) = match cli::parse(&modules, std::env::args_os()) {
        Ok(parsed) => parsed,
        Err(error) if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _closed_terminal = error.print();
            return ExitCode::from(2);
        }
        Err(error) if error.use_stderr() => {
            let as_json = std::env::args().any(|argument| argument == "--json");
            return rowhouse_module::report(as_json, Err(misuse(&error)));
        }
        Err(help_or_version) => {
            let _closed_terminal = help_or_version.print();
            return ExitCode::SUCCESS;
        }
    };
    let ended = rowhouse::command::run(&modules, invocation);
    rowhouse::telemetry::flush();
    let code = rowhouse_module::report(as_json, ended.result);
    if ended.is_interrupted { ExitCode::from(INTERRUPTED) } else { code }
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
