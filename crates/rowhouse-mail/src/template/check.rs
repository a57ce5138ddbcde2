//! Checks templates when they are loaded: renders each with its sample data in every language.

use std::collections::BTreeMap;

use minijinja::value::Value as Filling;
use minijinja::{Environment, Template};
use serde_json::{Map, Value};

use super::letter::{Letter, Variables};
use super::{SITE_NAME, Templates, UNSUBSCRIBE_URL, explain};

/// Sample data of a project's own templates, by name.
type Samples = BTreeMap<String, Map<String, Value>>;

/// Every mistake, with file and, where it has one, line.
pub(super) fn check(templates: &Templates, mut samples: Samples) -> Vec<String> {
    let letters = letter_sample();
    let mut mistakes = Vec::new();
    if let Ok(layout) = templates.strict.get_template("layout.html") {
        mistakes.extend(templates.unknown(&layout, &letters));
    }
    if !mistakes.is_empty() {
        // They would be reported again for each template that uses the layout.
        return mistakes;
    }
    for (name, languages) in &templates.names {
        let own = samples.remove(name).map(complete);
        let (environment, sample) = match Letter::is_name(name) {
            true => (&templates.lenient, Some(&letters)),
            false => (&templates.strict, own.as_ref()),
        };
        let Some(sample) = sample else {
            mistakes
                .push(format!("mail/{name}.json: not there; it holds the data that {name} is tried with"));
            continue;
        };
        for language in languages {
            mistakes.extend(in_language(templates, environment, (name, language), sample));
        }
    }
    mistakes.extend(samples.keys().map(|name| format!("mail/{name}.json: there is no template {name}")));
    mistakes
}

fn letter_sample() -> Map<String, Value> {
    match serde_json::to_value(Variables::sample()) {
        Ok(Value::Object(sample)) => complete(sample),
        _ => Map::new(),
    }
}

/// Adds the variables that every template has.
fn complete(mut sample: Map<String, Value>) -> Map<String, Value> {
    for (name, value) in
        [(SITE_NAME, "Sample"), (UNSUBSCRIBE_URL, "https://app.example/unsubscribe?token=abc")]
    {
        sample.entry(name).or_insert_with(|| value.into());
    }
    sample
}

fn in_language(
    templates: &Templates,
    environment: &Environment<'static>,
    (name, language): (&str, &str),
    sample: &Map<String, Value>,
) -> Vec<String> {
    let found = ["subject", "txt", "html"].map(|part| templates.part(environment, name, language, part));
    let own = found.iter().flatten().filter(|part| part.name().starts_with(&format!("{language}/")));
    let mut mistakes: Vec<String> = own.flat_map(|part| templates.unknown(part, sample)).collect();
    let [subject, text, html] = found.map(|part| part.is_some());
    if !subject {
        mistakes.push(format!("mail/{language}/{name}.subject: not there"));
    }
    if !text && !html {
        mistakes.push(format!("mail/{language}/{name}.txt: not there, and no .html"));
    }
    let values = Filling::from(minijinja::value::Serde(sample));
    if mistakes.is_empty()
        && let Err(error) = templates.fill_with(environment, name, language, &values)
    {
        mistakes.push(explain(&error));
    }
    mistakes
}

impl Templates {
    /// Finds misspelt variables, which would be empty in every mail.
    fn unknown(&self, template: &Template<'_, '_>, sample: &Map<String, Value>) -> Vec<String> {
        let is_global = |name: &str| self.strict.globals().any(|(global, _)| global == name);
        let mut used: Vec<String> = template.undeclared_variables(false).into_iter().collect();
        used.sort();
        used.retain(|name| !sample.contains_key(name) && !is_global(name));
        let mistake = |name: &String| {
            let line = line_of(template.source(), name);
            format!("mail/{}:{line}: there is no variable {name}", template.name())
        };
        used.iter().map(mistake).collect()
    }
}

/// The first line that names it, inside a tag or expression if one does.
fn line_of(source: &str, name: &str) -> usize {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let names_it = |line: &str| line.split(|c| !is_word(c)).any(|word| word == name);
    let place = |test: &dyn Fn(&str) -> bool| source.lines().position(test);
    let tagged = |line: &str| names_it(line) && (line.contains("{{") || line.contains("{%"));
    place(&tagged).or_else(|| place(&names_it)).map_or(1, |place| place + 1)
}
