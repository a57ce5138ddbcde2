//! Tables of tables: `[jobs.queues.mail]` is the entry `mail` of `jobs.queues`. Mistakes are gathered, each under its own
//! key, so that all of them can be reported at once.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{Findings, Setting};
use crate::Secret;

/// Entries of one shape by name, and what was wrong with them.
#[derive(Debug, Clone)]
pub struct Named<T> {
    entries: BTreeMap<String, T>,
    mistakes: Vec<(String, String)>,
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), mistakes: Vec::new() }
    }
}

impl<T> Named<T> {
    /// Names and entries in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.entries.iter().map(|(name, entry)| (name.as_str(), entry))
    }

    /// The entry of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&T> {
        self.entries.get(name)
    }

    /// Hands the mistakes over, each with the whole name of its key.
    pub fn report(&self, key: &str, findings: &mut Findings<'_>) {
        for (name, problem) in &self.mistakes {
            findings.refuse(&format!("{key}.{name}"), problem);
        }
    }
}

/// What an entry is read from.
pub trait Entry: Clone {
    /// Whether entries carry secrets.
    const SECRET: bool = false;

    /// Reads every key; mistakes are noted in `fields`.
    fn read(fields: &mut Fields<'_>) -> Self;
}

/// The keys of one entry, and what was wrong with them.
#[derive(Debug)]
pub struct Fields<'a> {
    name: &'a str,
    table: &'a toml::Table,
    known: BTreeSet<&'static str>,
    mistakes: BTreeMap<String, String>,
}

impl<'a> Fields<'a> {
    fn new(name: &'a str, table: &'a toml::Table) -> Self {
        Self { name, table, known: BTreeSet::new(), mistakes: BTreeMap::new() }
    }

    /// The entry's name.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// Reads a key; a mistake is noted and `default` stands in.
    pub fn read<V: Setting>(&mut self, key: &'static str, default: V) -> V {
        self.known.insert(key);
        match self.table.get(key).map(V::from_toml) {
            None => default,
            Some(Ok(value)) => value,
            Some(Err(problem)) => {
                self.refuse(key, &problem);
                default
            }
        }
    }

    /// Reads a text that must be there.
    pub fn require(&mut self, key: &'static str) -> String {
        if !self.table.contains_key(key) {
            self.refuse(key, "not set");
        }
        self.read(key, String::new())
    }

    /// Reads a secret; where `key` is not set, from the file that `file_key` names.
    pub fn secret(&mut self, key: &'static str, file_key: &'static str) -> Option<Secret> {
        let given = self.read(key, None);
        let path: Option<String> = self.read(file_key, None);
        let Some(path) = path.filter(|_| given.is_none()) else { return given };
        let read = std::fs::read_to_string(&path).map_err(|error| format!("cannot read {path}: {error}"));
        match read.and_then(|text| Secret::from_text(text.trim_end())) {
            Ok(secret) => Some(secret),
            Err(problem) => {
                self.refuse(key, &problem);
                None
            }
        }
    }

    /// Reads a table as a JSON object.
    pub fn object(&mut self, key: &'static str) -> Map<String, Value> {
        self.known.insert(key);
        match self.table.get(key).map(json) {
            None => Map::new(),
            Some(Value::Object(object)) => object,
            Some(_) => {
                self.refuse(key, "expected a table");
                Map::new()
            }
        }
    }

    /// Notes a mistake in a key; the first of each key counts. An empty key is the entry itself.
    pub fn refuse(&mut self, key: &str, problem: &str) {
        self.mistakes.entry(key.to_owned()).or_insert_with(|| problem.to_owned());
    }

    /// Whether something was wrong with that key.
    #[must_use]
    pub fn is_wrong(&self, key: &str) -> bool {
        self.mistakes.contains_key(key)
    }

    fn finish(mut self) -> Vec<(String, String)> {
        let unknown: Vec<&String> =
            self.table.keys().filter(|key| !self.known.contains(key.as_str())).collect();
        for key in unknown {
            self.mistakes.entry(key.clone()).or_insert_with(|| "no such setting".to_owned());
        }
        let name = if self.name.contains('.') { format!("\"{}\"", self.name) } else { self.name.to_owned() };
        let place = |key: String| if key.is_empty() { name.clone() } else { format!("{name}.{key}") };
        self.mistakes.into_iter().map(|(key, problem)| (place(key), problem)).collect()
    }
}

fn json(value: &toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.as_str().into(),
        toml::Value::Integer(number) => (*number).into(),
        toml::Value::Float(number) => (*number).into(),
        toml::Value::Boolean(truth) => (*truth).into(),
        toml::Value::Datetime(moment) => moment.to_string().into(),
        toml::Value::Array(items) => items.iter().map(json).collect(),
        toml::Value::Table(table) => table.iter().map(|(key, value)| (key.clone(), json(value))).collect(),
    }
}

/// Up to 63 characters that need no quoting in a path or a shell.
#[must_use]
pub fn is_plain_name(name: &str) -> bool {
    name.len() <= 63
        && name.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_.-".contains(&b))
}

impl<T: Entry> Setting for Named<T> {
    const KIND: &'static str = "table of tables";
    const SECRET: bool = T::SECRET;

    fn from_text(text: &str) -> Result<Self, String> {
        let table: toml::Table =
            serde_json::from_str(text).map_err(|_| "expected a JSON object of objects".to_owned())?;
        Self::from_toml(&toml::Value::Table(table))
    }

    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        let wrong = || format!("expected a table, found {}", value.type_str());
        let mut named = Self::default();
        for (name, entry) in value.as_table().ok_or_else(wrong)? {
            let Some(table) = entry.as_table() else {
                let problem = format!("expected a table, found {}", entry.type_str());
                named.mistakes.push((name.clone(), problem));
                continue;
            };
            let mut fields = Fields::new(name, table);
            named.entries.insert(name.clone(), T::read(&mut fields));
            named.mistakes.extend(fields.finish());
        }
        Ok(named)
    }

    fn show(&self) -> String {
        self.entries.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
    }
}
