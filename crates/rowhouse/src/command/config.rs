//! `config explain`: every effective value and where it came from.

use std::collections::BTreeMap;

use rowhouse_kernel::settings::{Effective, Source, Sources};
use rowhouse_module::{CannotRun, Outcome, Project, State};
use serde_json::{Value, json};

use crate::safety;

/// The values of a running instance, by name.
type Running = BTreeMap<String, String>;

/// Exit code 1 when production would refuse the configuration, 2 when nothing would start with it.
pub(super) fn explain(project: &Project) -> Result<Outcome, CannotRun> {
    let (settings, sources) = crate::modules::settings(project)?;
    let modules = crate::modules::modules();
    let refused = safety::unsafe_settings(&modules.settings(), &settings);
    if let Err(mistakes) = modules.check_project(project, &settings) {
        return Err(CannotRun([mistakes.0, refused].concat()));
    }
    let running = State::read(project).filter(|_| State::is_running(project)).map(|state| state.settings);
    let rows: Vec<Value> = sources.effective().iter().map(|e| row(e, running.as_ref())).collect();
    let mut text = table(&sources, running.as_ref());
    for line in &refused {
        text.push_str(&format!("\nunsafe in production: {line}"));
    }
    let notes = sources.notes();
    for note in &notes {
        text.push_str(&format!("\n{note}"));
    }
    let json = json!({ "settings": rows, "unsafe": refused, "without_effect": notes });
    Ok(Outcome { yes: refused.is_empty(), json, text })
}

/// The value of the running instance: `up` sets defaults, and the configuration may have changed since.
fn used<'a>(effective: &Effective, running: Option<&'a Running>) -> Option<&'a str> {
    running?.get(&effective.name).map(String::as_str)
}

/// One line per setting; the last column holds the running instance's value if it differs.
fn table(sources: &Sources, running: Option<&Running>) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    let header = ["setting", "value", "from"].into_iter().chain(running.map(|_| "running instance"));
    table.set_header(header);
    for effective in sources.effective() {
        let differs = |value: &&str| *value != effective.value;
        let used = running.map(|_| used(effective, running).filter(differs).unwrap_or_default().to_owned());
        let cells = [effective.name.clone(), effective.value.clone(), source(effective)];
        table.add_row(cells.into_iter().chain(used));
    }
    table.to_string()
}

fn row(effective: &Effective, running: Option<&Running>) -> Value {
    let mut row = json!({ "name": effective.name, "value": effective.value, "source": source(effective) });
    if running.is_some() {
        row["running"] = json!(used(effective, running));
    }
    row
}

fn source(effective: &Effective) -> String {
    match &effective.source {
        Source::Default => "default".to_owned(),
        Source::File => "rowhouse.toml".to_owned(),
        Source::Variable(name) => name.clone(),
        Source::SecretFile(name) => format!("file named by {name}"),
        Source::Database(name) => format!("{name} of the role authenticator"),
    }
}
