//! `config import`: a `postgrest.conf` as `rowhouse.toml`.

use std::collections::BTreeMap;
use std::path::Path;

use rowhouse_kernel::settings::{Settings, Sources, Translated, Translation};
use rowhouse_rest::postgrest::{read_conf, translate};
use serde_json::json;

use rowhouse_module::{CannotRun, CommandOutcome};

/// Prints the file's settings as `rowhouse.toml`; an invalid value is an error.
pub(super) fn run(file: &Path) -> Result<CommandOutcome, CannotRun> {
    let fail = |why: &dyn std::fmt::Display| CannotRun::because(format!("{}: {why}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| fail(&error))?;
    let pairs = read_conf(&text).map_err(|error| fail(&error))?;
    let translated = translate(pairs.into_iter().map(|(key, value)| (key.clone(), key, value)));
    let toml = document(&translated).map_err(|error| fail(&error))?;
    Settings::load(&crate::modules::modules().settings(), &mut Sources::new(&toml, [])).map_err(CannotRun)?;
    let json = json!({ "toml": toml, "without_effect": translated.notes });
    Ok(CommandOutcome::yes(json, toml.trim_end()))
}

fn document(translated: &Translation) -> Result<String, String> {
    let kinds: BTreeMap<String, &str> = crate::modules::modules()
        .settings()
        .into_iter()
        .flat_map(|group| (group.fields)())
        .map(|field| (field.name, field.kind))
        .collect();
    let mut sections: BTreeMap<&str, toml::Table> = BTreeMap::new();
    for given in &translated.given {
        let (section, key) = given.key;
        let kind = kinds.get(&format!("{section}.{key}")).copied().unwrap_or_default();
        sections.entry(section).or_default().insert(key.to_owned(), value(given, kind)?);
    }
    let body = toml::to_string(&sections).map_err(|error| error.to_string())?;
    let notes: String = translated.notes.iter().map(|note| format!("# {note}\n")).collect();
    Ok(format!("{notes}{body}"))
}

/// A TOML value of the setting's type; anything else stays a string, and loading reports the mistake.
fn value(given: &Translated, kind: &str) -> Result<toml::Value, String> {
    let text = given.text.clone()?;
    let plain = || toml::Value::String(text.clone());
    Ok(match kind {
        "whole number" => text.parse().map_or_else(|_| plain(), toml::Value::Integer),
        "true or false" => text.parse().map_or_else(|_| plain(), toml::Value::Boolean),
        "list of texts" => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            toml::Value::Array(items.map(|item| toml::Value::String(item.to_owned())).collect())
        }
        "table of texts" => serde_json::from_str(&text).map_err(|error| error.to_string())?,
        _ => plain(),
    })
}

#[cfg(test)]
mod tests;
