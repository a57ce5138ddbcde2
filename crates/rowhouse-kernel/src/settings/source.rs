//! Where a value comes from: environment over file over default; and what was wrong with it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Setting, Translated, Translation};

/// One configurable key, as the reference page shows it.
#[derive(Debug, Clone)]
pub struct Field {
    /// `section.key`, or the bare key at top level.
    pub name: String,
    /// The variable that overrides it.
    pub variable: String,
    /// What it accepts.
    pub kind: &'static str,
    /// The unit of a number; empty where there is none.
    pub unit: &'static str,
    /// The default as a person would write it; empty when there is none.
    pub default: String,
    /// What it means.
    pub doc: &'static str,
    /// Whether it is masked and may come from a file.
    pub secret: bool,
}

impl Field {
    /// Describes `section.key` of type `T`; without a unit of its own it has the type's.
    #[must_use]
    pub fn new<T: Setting>(
        section: &str,
        key: &str,
        doc: &'static str,
        unit: &'static str,
        default: &T,
    ) -> Self {
        Self {
            name: dotted(section, key),
            variable: variable(section, key),
            kind: T::KIND,
            unit: if unit.is_empty() { T::UNIT } else { unit },
            default: default.show(),
            doc,
            secret: T::SECRET,
        }
    }
}

/// Where an effective value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The built-in default.
    Default,
    /// `rowhouse.toml`.
    File,
    /// The environment variable of this name.
    Variable(String),
    /// The file that the environment variable of this name points to.
    SecretFile(String),
    /// The database: `alter role authenticator set` of this name.
    Database(String),
}

/// One effective value for `config explain`.
#[derive(Debug, Clone)]
pub struct Effective {
    /// `section.key`.
    pub name: String,
    /// The value, masked if secret.
    pub value: String,
    /// Where it came from.
    pub source: Source,
}

/// The configuration's raw material and the findings made while reading it.
#[derive(Debug, Default)]
pub struct Sources {
    file: toml::Table,
    variables: BTreeMap<String, String>,
    /// Variables that stand for a key beside its own: (variable, group, key).
    aliases: Vec<(&'static str, &'static str, &'static str)>,
    /// What variables of other tools say.
    translated: Translation,
    /// What settings in the database say.
    stored: Translation,
    known: BTreeSet<String>,
    effective: Vec<Effective>,
    mistakes: Vec<String>,
}

impl Sources {
    /// Takes the text of `rowhouse.toml` (empty if there is none) and the process's variables.
    pub fn new(file: &str, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut sources = Self { variables: variables.into_iter().collect(), ..Self::default() };
        match file.parse::<toml::Table>() {
            Ok(table) => sources.file = table,
            Err(error) => sources.mistakes.push(format!("rowhouse.toml: {}", error.to_string().trim_end())),
        }
        sources
    }

    /// Takes variables that stand for keys of the group beside their own: (variable, key).
    pub(super) fn add_aliases(&mut self, section: &'static str, aliases: &[(&'static str, &'static str)]) {
        self.aliases.extend(aliases.iter().map(|(name, key)| (*name, section, *key)));
    }

    /// Takes what a group makes of other tools' variables.
    pub(super) fn translate(&mut self, of: fn(&BTreeMap<String, String>) -> Translation) {
        self.translated.extend(of(&self.variables));
    }

    /// Takes settings that are kept in the database; they come before everything else.
    pub fn add_database(&mut self, stored: Translation) {
        self.stored.extend(stored);
    }

    /// What of other tools' configuration has no effect here, each with its name and what to do.
    #[must_use]
    pub fn notes(&self) -> Vec<&str> {
        self.translated.notes.iter().chain(&self.stored.notes).map(String::as_str).collect()
    }

    /// Reads one key; a mistake is noted and `default` stands in.
    pub fn read<T: Setting>(&mut self, section: &str, key: &str, default: T) -> T {
        let name = dotted(section, key);
        self.known.insert(name.clone());
        let (value, source) = match self.find::<T>(section, key) {
            Some((Ok(value), source)) => (value, source),
            Some((Err(problem), source)) => {
                let place = match &source {
                    Source::Variable(name) | Source::SecretFile(name) | Source::Database(name) => {
                        format!(" (from {name})")
                    }
                    _ => String::new(),
                };
                self.mistakes.push(format!("{name}: {problem}{place}"));
                (default, source)
            }
            None => (default, Source::Default),
        };
        self.effective.push(Effective { name, value: value.show(), source });
        value
    }

    fn find<T: Setting>(&self, section: &str, key: &str) -> Option<(Result<T, String>, Source)> {
        let read = |given: &Translated| given.text.clone().and_then(|text| T::from_text(&text));
        if let Some(given) = self.stored.find(section, key) {
            return Some((read(given), Source::Database(given.origin.clone())));
        }
        let aliases = self.aliases.iter().filter(|(_, s, k)| (*s, *k) == (section, key));
        let aliases = aliases.map(|(name, ..)| (*name).to_owned());
        for name in std::iter::once(variable(section, key)).chain(aliases) {
            if let Some(text) = self.variables.get(&name) {
                return Some((T::from_text(text), Source::Variable(name)));
            }
            let file_variable = format!("{name}_FILE");
            if let Some(path) = self.variables.get(&file_variable).filter(|_| T::SECRET) {
                let text =
                    std::fs::read_to_string(path).map_err(|error| format!("cannot read {path}: {error}"));
                return Some((
                    text.and_then(|text| T::from_text(text.trim_end())),
                    Source::SecretFile(file_variable),
                ));
            }
        }
        if let Some(given) = self.translated.find(section, key) {
            return Some((read(given), Source::Variable(given.origin.clone())));
        }
        let value = if section.is_empty() { self.file.get(key) } else { self.file.get(section)?.get(key) };
        value.map(|value| (T::from_toml(value), Source::File))
    }

    /// Notes every key of the file and every `ROWHOUSE_…` variable that nothing has read.
    pub fn refuse_unknown_keys(&mut self) {
        for (section, value) in &self.file {
            let names = match value {
                toml::Value::Table(table) => table.keys().map(|key| dotted(section, key)).collect(),
                _ => vec![section.clone()],
            };
            let unknown = names.into_iter().filter(|name| !self.known.contains(name));
            self.mistakes.extend(unknown.map(|name| format!("{name}: no such setting in rowhouse.toml")));
        }
        let known: BTreeSet<String> = self.known.iter().map(|name| variable_of(name)).collect();
        let ours = |name: &&String| name.starts_with("ROWHOUSE_") && !is_of_kubernetes_service(name);
        let unknown = self.variables.keys().filter(ours).filter(|name| {
            !known.contains(*name) && name.strip_suffix("_FILE").is_none_or(|name| !known.contains(name))
        });
        self.mistakes.extend(unknown.map(|name| format!("{name}: no such setting in the environment")));
    }

    /// Hands over what was wrong.
    pub fn take_mistakes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.mistakes)
    }

    /// Where the key's value came from, once it has been read.
    #[must_use]
    pub fn source(&self, section: &str, key: &str) -> Option<&Source> {
        let name = dotted(section, key);
        self.effective.iter().find(|effective| effective.name == name).map(|effective| &effective.source)
    }

    /// Every value read so far, in reading order.
    #[must_use]
    pub fn effective(&self) -> &[Effective] {
        &self.effective
    }
}

pub(super) fn dotted(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
}

fn variable(section: &str, key: &str) -> String {
    variable_of(&dotted(section, key))
}

/// What Kubernetes puts into every pod beside a Service called "rowhouse": `ROWHOUSE_SERVICE_HOST`, `ROWHOUSE_SERVICE_PORT` and
/// `…_PORT_<NAME>`, `ROWHOUSE_PORT`, `ROWHOUSE_PORT_80_TCP` and `…_PROTO`, `…_PORT`, `…_ADDR`. No setting is called so.
fn is_of_kubernetes_service(name: &str) -> bool {
    let rest = name.strip_prefix("ROWHOUSE_").unwrap_or_default();
    let by_port = |rest: &str| {
        let mut words = rest.split('_');
        let number = words.next().is_some_and(|port| port.parse::<u16>().is_ok());
        let protocol = matches!(words.next(), Some("TCP" | "UDP" | "SCTP"));
        number
            && protocol
            && matches!((words.next(), words.next()), (None | Some("PROTO" | "PORT" | "ADDR"), None))
    };
    matches!(rest, "SERVICE_HOST" | "SERVICE_PORT" | "PORT")
        || rest.strip_prefix("SERVICE_PORT_").is_some_and(|name| !name.is_empty() && !name.starts_with('_'))
        || rest.strip_prefix("PORT_").is_some_and(by_port)
}

fn variable_of(name: &str) -> String {
    format!("ROWHOUSE_{}", name.replace('.', "__").to_uppercase())
}
