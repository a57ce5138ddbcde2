//! Which data a template lacks: only what it cannot be rendered without.

use std::collections::BTreeSet;

use minijinja::value::Value as Filling;
use minijinja::{ErrorKind, Template};
use serde_json::{Map, Value, json};

use super::Templates;

/// Each of them is looked for by rendering the template without it.
const MOST_TRIED: usize = 50;

impl Templates {
    /// Variables that the parts need and the data lack; dots lead into objects. Those with a default, or in a branch that is
    /// not taken, are not needed.
    pub(super) fn missing(&self, name: &str, language: &str, data: &Map<String, Value>) -> Vec<String> {
        let lacking = self.lacking(name, language, data);
        if lacking.len() > MOST_TRIED {
            return lacking;
        }
        let lists = self.lists(name, language, &lacking);
        let is_undefined = |without: Option<&String>| {
            let data = filled_up(data, &lacking, without, &lists);
            let values = Filling::from(minijinja::value::Serde(&data));
            let filled = self.fill_with(&self.strict, name, language, &values);
            filled.is_err_and(|error| error.kind() == ErrorKind::UndefinedError)
        };
        if is_undefined(None) {
            return lacking;
        }
        let needed: Vec<String> = lacking.iter().filter(|path| is_undefined(Some(path))).cloned().collect();
        if needed.is_empty() { lacking } else { needed }
    }

    /// Those over which a part loops.
    fn lists(&self, name: &str, language: &str, paths: &[String]) -> BTreeSet<String> {
        let parts = self.parts(name, language);
        let is_list = |path: &&String| {
            let looped = format!(" in {path}");
            parts.iter().any(|part| part.source().contains(&looped))
        };
        paths.iter().filter(is_list).cloned().collect()
    }

    fn parts(&self, name: &str, language: &str) -> Vec<Template<'_, '_>> {
        let parts = ["subject", "txt", "html"].into_iter();
        parts.filter_map(|part| self.part(&self.strict, name, language, part)).collect()
    }

    /// Variables that the parts use and the data lack.
    fn lacking(&self, name: &str, language: &str, data: &Map<String, Value>) -> Vec<String> {
        let lacks = |path: &String| {
            let mut path = path.split('.');
            let first = path.next().and_then(|key| data.get(key));
            path.try_fold(first, |value, key| value.map(|value| value.get(key)))
                .is_none_or(|value| value.is_none_or(Value::is_null))
        };
        let parts = self.parts(name, language).into_iter();
        let used: BTreeSet<String> = parts.flat_map(|part| part.undeclared_variables(true)).collect();
        used.into_iter().filter(lacks).collect()
    }
}

/// The data with a stand-in for all that is lacking but `without`, which is removed.
fn filled_up(
    data: &Map<String, Value>,
    lacking: &[String],
    without: Option<&String>,
    lists: &BTreeSet<String>,
) -> Map<String, Value> {
    let mut all = data.clone();
    for path in lacking {
        let value = match (without == Some(path), lists.contains(path)) {
            (true, _) => None,
            (false, true) => Some(json!([])),
            (false, false) => Some(json!("x")),
        };
        put(&mut all, path, value);
    }
    all
}

/// Sets what the path leads to, or removes it; what is in its way becomes an object.
fn put(object: &mut Map<String, Value>, path: &str, value: Option<Value>) {
    match (path.split_once('.'), value) {
        (Some((first, rest)), value) => {
            let inner = object.entry(first).or_insert_with(|| json!({}));
            if !inner.is_object() {
                *inner = json!({});
            }
            if let Some(inner) = inner.as_object_mut() {
                put(inner, rest, value);
            }
        }
        (None, Some(value)) => drop(object.insert(path.to_owned(), value)),
        (None, None) => drop(object.remove(path)),
    }
}
