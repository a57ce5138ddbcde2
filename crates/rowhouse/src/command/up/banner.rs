//! The banner when the server answers requests: lines on stderr, or with `--json` one document on stdout.

use std::io::Write;

use rowhouse_module::{Fact, Project, State};
use serde_json::json;

pub(super) fn print(project: &Project, (state, is_ready): (&State, bool), facts: &[Fact], as_json: bool) {
    if as_json {
        print_document(state, is_ready);
    }
    let lines = lines(project, (state, is_ready), facts, as_json);
    let _closed_terminal = writeln!(std::io::stderr(), "{}", lines.join("\n"));
}

/// The facts, API keys among them, are for people; with `--json` the document has them.
fn lines(project: &Project, (state, is_ready): (&State, bool), facts: &[Fact], as_json: bool) -> Vec<String> {
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
    lines
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

#[cfg(test)]
mod tests {
    use rowhouse_module::{Fact, Project, State};

    use super::lines;

    #[test]
    fn keys_are_among_the_lines_for_people_alone() {
        let folder = tempfile::tempdir().unwrap();
        let project = Project::open(folder.path()).unwrap();
        let state = State {
            url: "http://127.0.0.1:1".to_owned(),
            port: 1,
            pid: 1,
            version: String::new(),
            started_at: String::new(),
            db_url: String::new(),
            pg_pid: None,
            pg_data_dir: None,
            facts: serde_json::Map::new(),
        };
        let facts = [Fact { key: "service_key", label: Some("Service key"), value: "sb_secret".into() }];
        let has_key =
            |as_json| lines(&project, (&state, true), &facts, as_json).join("\n").contains("sb_secret");
        assert_eq!((has_key(false), has_key(true)), (true, false));
    }
}
