//! `config explain`: every effective value and where it came from.

use rowhouse_kernel::settings::{Effective, Settings, Source, Sources};
use rowhouse_module::{CannotRun, CommandOutcome, Instance, Project};
use serde_json::{Value, json};

use crate::safety;

/// Exit code 1 when production would refuse the configuration, 2 when nothing would start with it.
pub(super) fn explain(project: &Project) -> Result<CommandOutcome, CannotRun> {
    let modules = crate::modules::modules();
    let mut sources = project.sources()?;
    let (settings, mistakes) = Settings::read(&modules.settings(), &mut sources);
    if !mistakes.is_empty() || modules.check_project(project, &settings).is_err() {
        return Err(CannotRun(safety::reasons(&modules, project, &settings, mistakes, Vec::new())));
    }
    let refused = safety::unsafe_settings(&modules.settings(), &settings);
    let running = Instance::running(project);
    let rows: Vec<Value> = sources.effective().iter().map(|effective| row(effective, &running)).collect();
    let mut text = table(&sources, &running);
    for line in &refused {
        text.push_str(&format!("\nunsafe in production: {line}"));
    }
    let notes = sources.notes();
    for note in &notes {
        text.push_str(&format!("\n{note}"));
    }
    let json = json!({ "settings": rows, "unsafe": refused, "without_effect": notes });
    Ok(CommandOutcome { yes: refused.is_empty(), json, text })
}

/// One line per setting; a column per running instance holds its value if it differs: `up` sets defaults, settings can be
/// kept in the database, and the configuration may have changed since the start.
fn table(sources: &Sources, running: &[Instance]) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    let header = ["setting", "value", "from"].map(str::to_owned).into_iter();
    let used_by = running.iter().map(|instance| format!("used by process {}", instance.pid));
    table.set_header(header.chain(used_by));
    for effective in sources.effective() {
        let cells = [effective.name.clone(), effective.value.clone(), source(effective)];
        let used = running.iter().map(|instance| {
            let used = instance.settings.get(&effective.name);
            used.filter(|value| **value != effective.value).cloned().unwrap_or_default()
        });
        table.add_row(cells.into_iter().chain(used));
    }
    table.to_string()
}

fn row(effective: &Effective, running: &[Instance]) -> Value {
    let used = |instance: &Instance| {
        let value = instance.settings.get(&effective.name)?;
        Some(json!({ "pid": instance.pid, "value": value }))
    };
    let used: Vec<Value> = running.iter().filter_map(used).collect();
    let (name, value) = (&effective.name, &effective.value);
    json!({ "name": name, "value": value, "source": source(effective), "running": used })
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
