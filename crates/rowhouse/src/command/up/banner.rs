//! The banner when the server answers requests: lines on stderr, or with `--json` one document on stdout.

use std::io::Write;

use rowhouse_module::{Fact, Project, State};
use serde_json::json;

pub(super) fn print(project: &Project, (state, is_ready): (&State, bool), facts: &[Fact], as_json: bool) {
    if as_json {
        print_document(state, is_ready);
    }
    let mut lines = vec![match is_ready {
        true => format!("Rowhouse is ready: {}", state.url),
        false => format!("Rowhouse runs, but is not ready; {}/health/ready says why", state.url),
    }];
    if !as_json {
        let dir = project.dir_option();
        lines.extend([
            format!("  REST API          {}/rest/v1", state.url),
            format!("  Auth              {}/auth/v1", state.url),
            format!("  Health            {}/health", state.url),
        ]);
        lines.extend(facts.iter().filter_map(line));
        lines.extend([
            format!("  Database          rowhouse psql{dir} (the URL stands in .rowhouse/state.json)"),
            format!("  Stop with Ctrl-C, or: rowhouse stop{dir}"),
        ]);
    }
    let _closed_terminal = writeln!(std::io::stderr(), "{}", lines.join("\n"));
}

/// The content of `state.json`.
fn print_document(state: &State, is_ready: bool) {
    let mut document = json!(state);
    document["ready"] = json!(is_ready);
    let mut out = std::io::stdout();
    let _closed = writeln!(out, "{document}").and_then(|()| out.flush());
}

fn line(fact: &Fact) -> Option<String> {
    let (label, value) = (fact.label?, fact.value.as_str()?);
    Some(format!("  {label:<17} {value}"))
}
