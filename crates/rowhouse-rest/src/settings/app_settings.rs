//! `app.settings.*`: values that SQL can read in every request.

use std::collections::BTreeMap;

use rowhouse_kernel::Secret;
use rowhouse_kernel::settings::Setting;

/// Names with `app.settings.` before them, and values, which may be secret.
#[derive(Debug, Clone, Default)]
pub struct AppSettings(BTreeMap<String, Secret>);

impl AppSettings {
    /// Names and values in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Secret)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    fn from_pairs(pairs: impl Iterator<Item = (String, Option<String>)>) -> Result<Self, String> {
        let checked = pairs.map(|(name, value)| {
            let value = value.ok_or_else(|| format!("expected a text, number or truth value as {name}"))?;
            if !is_name(&name) || value.contains('\0') {
                return Err(format!("expected names of letters, digits and underscores, found \"{name}\""));
            }
            Ok((format!("app.settings.{name}"), Secret::new(value)))
        });
        checked.collect::<Result<_, _>>().map(Self)
    }
}

/// PostgreSQL refuses other names of settings, with every request.
fn is_name(name: &str) -> bool {
    name.split('.').all(|part| {
        let first = part.bytes().next();
        first.is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })
}

impl Setting for AppSettings {
    const KIND: &'static str = "table of texts";
    const SECRET: bool = true;

    fn from_text(text: &str) -> Result<Self, String> {
        let table: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(text).map_err(|_| "expected a JSON object of texts".to_owned())?;
        Self::from_pairs(table.into_iter().map(|(name, value)| match value {
            serde_json::Value::String(text) => (name, Some(text)),
            other if other.is_number() || other.is_boolean() => (name, Some(other.to_string())),
            _ => (name, None),
        }))
    }

    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        let table = value
            .as_table()
            .ok_or_else(|| format!("expected a table of texts, found {}", value.type_str()))?;
        Self::from_pairs(table.iter().map(|(name, value)| match value {
            toml::Value::String(text) => (name.clone(), Some(text.clone())),
            toml::Value::Array(_) | toml::Value::Table(_) => (name.clone(), None),
            other => (name.clone(), Some(other.to_string())),
        }))
    }

    fn show(&self) -> String {
        let names: Vec<String> = self.0.keys().map(|name| format!("{name}=********")).collect();
        names.join(", ")
    }
}
