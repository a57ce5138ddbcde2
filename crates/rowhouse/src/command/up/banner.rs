//! What a developer wants to see when it is ready; on stderr, for stdout belongs to `--json`.

use std::io::Write;

use rowhouse_module::{Fact, State};

pub(super) fn print(state: &State, facts: &[Fact], as_json: bool) {
    let mut lines = vec![format!("Rowhouse is ready: {}", state.url)];
    if !as_json {
        lines.extend([
            format!("  REST API          {}/rest/v1", state.url),
            format!("  Auth              {}/auth/v1", state.url),
            format!("  Health            {}/health", state.url),
        ]);
        lines.extend(facts.iter().filter_map(line));
        lines.extend([
            "  Database          rowhouse psql (the URL stands in .rowhouse/state.json)".to_owned(),
            "  Stop with Ctrl-C, or: rowhouse stop".to_owned(),
        ]);
    }
    let _closed_terminal = writeln!(std::io::stderr(), "{}", lines.join("\n"));
}

fn line(fact: &Fact) -> Option<String> {
    let (label, value) = (fact.label?, fact.value.as_str()?);
    Some(format!("  {label:<17} {value}"))
}
