//! `config explain`: every effective value and where it came from.

use rowhouse_kernel::settings::{Effective, Source};
use serde_json::{Value, json};

use crate::safety;
use rowhouse_module::Project;
use rowhouse_module::{CannotRun, Outcome};

/// Exit code 1 when production would refuse the configuration, 2 when nothing would start with it.
pub(super) fn explain(project: &Project) -> Result<Outcome, CannotRun> {
    let (settings, sources) = crate::modules::settings(project)?;
    let modules = crate::modules::modules();
    modules.check_project(project, &settings)?;
    let refused = safety::unsafe_settings(&modules.settings(), &settings);
    let rows: Vec<Value> = sources.effective().iter().map(row).collect();
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_header(["setting", "value", "from"]);
    for effective in sources.effective() {
        table.add_row([effective.name.clone(), effective.value.clone(), source(effective)]);
    }
    let mut text = table.to_string();
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

fn row(effective: &Effective) -> Value {
    json!({ "name": effective.name, "value": effective.value, "source": source(effective) })
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
