//! Templates of mails: those built in, and those of a project, which add to them or replace them file by file.
//!
//! A project's `mail/<language>/<name>.subject`, `.txt` and `.html` take precedence over the built-in ones. All are
//! rendered with sample data when they are loaded, so that mistakes are found at start and not with the first
//! sign-up.

mod check;
mod embedded;
mod letter;
mod missing;
mod project;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;

use minijinja::value::Value as Filling;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Template, UndefinedBehavior, escape_formatter};
use serde_json::{Map, Value};

use crate::error::MailError;
use embedded::EMBEDDED;
pub use letter::{Letter, Variables};

/// Steps that rendering one part may take; ordinary templates need some thousand.
const FUEL: u64 = 2_000_000;
/// Largest part of a mail that a template makes, in bytes.
const MOST_FILLED: usize = 16 * 1024 * 1024;
/// Variable that callers need not give.
pub(crate) const SITE_NAME: &str = "SiteName";
pub(crate) const UNSUBSCRIBE_URL: &str = "UnsubscribeURL";

/// A rendered mail: text, HTML or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// One line.
    pub subject: String,
    /// The text.
    pub text: Option<String>,
    /// The same as HTML.
    pub html: Option<String>,
}

/// Every mistake in the templates of a project, each with its file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct Mistakes(pub Vec<String>);

impl From<Mistakes> for MailError {
    fn from(mistakes: Mistakes) -> Self {
        Self::Unusable(mistakes.to_string())
    }
}

/// Why a template could not be rendered, for the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// No such template.
    #[error("template: there is no \"{name}\"; there are {}", known.join(", "))]
    Unknown {
        /// The requested name, shortened.
        name: String,
        /// All that there are.
        known: Vec<String>,
    },
    /// Values that it needs were not given, or are null.
    #[error("data: the template {name} needs more than is given; not given: {}", missing.join(", "))]
    Missing {
        /// The template.
        name: String,
        /// The values' names; dots lead into objects.
        missing: Vec<String>,
    },
    /// The data has other types than the template needs.
    #[error("data: the template {name} cannot be filled with it: {why}")]
    Unfit {
        /// The template.
        name: String,
        /// Why not.
        why: String,
    },
}

/// Templates by name and language.
pub struct Templates {
    /// Missing variables render as empty: users' metadata is optional.
    lenient: Environment<'static>,
    /// Missing variables are errors: callers have to give them.
    strict: Environment<'static>,
    /// Languages in which a template has a part.
    names: BTreeMap<String, BTreeSet<String>>,
    /// The default language.
    fallback: String,
}

impl std::fmt::Debug for Templates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Templates").field("names", &self.names).finish_non_exhaustive()
    }
}

impl Templates {
    /// The built-in templates, in `en` and `de`; `fallback` is the default language.
    ///
    /// # Errors
    /// Never, as a test shows.
    pub fn embedded(fallback: &str) -> Result<Self, Mistakes> {
        Self::read(project::Found::default(), fallback)
    }

    /// The built-in templates overlaid by those in `folder`, which need not exist.
    ///
    /// # Errors
    /// Every file that is not a template, cannot be read, or cannot be rendered with its sample.
    pub fn of_project(folder: &Path, fallback: &str) -> Result<Self, Mistakes> {
        Self::read(project::read(folder), fallback)
    }

    fn read(found: project::Found, fallback: &str) -> Result<Self, Mistakes> {
        let mut mistakes = found.mistakes;
        let lenient = environment(UndefinedBehavior::Chainable);
        let mut templates =
            Self { strict: lenient.clone(), lenient, names: BTreeMap::new(), fallback: fallback.to_owned() };
        let embedded = EMBEDDED.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        for (name, text) in embedded.chain(found.templates) {
            mistakes.extend(templates.add(name, &text).err().map(|error| explain(&error)));
        }
        templates.strict = templates.lenient.clone();
        templates.strict.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        templates.strict.set_formatter(|out, state, value| match value.is_none() {
            // A null counts as missing.
            true => Err(ErrorKind::UndefinedError.into()),
            false => escape_formatter(out, state, value),
        });
        // Templates are only rendered if all could be parsed, so that no mistake is reported twice.
        if mistakes.is_empty() {
            mistakes = check::check(&templates, found.samples);
        }
        if mistakes.is_empty() { Ok(templates) } else { Err(Mistakes(mistakes)) }
    }

    fn add(&mut self, name: String, text: &str) -> Result<(), Error> {
        // GoTrue's templates are Go's, which put a dot before variables.
        let text = text.replace("{{ .", "{{ ").replace("{{.", "{{ ");
        if let Some((language, file)) = name.split_once('/') {
            let template = file.split('.').next().unwrap_or_default();
            self.names.entry(template.to_owned()).or_default().insert(language.to_owned());
        }
        self.lenient.add_template_owned(name, text)
    }

    /// Names of all templates.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }

    /// The first of `wanted`, its primary subtag (`de` of `de-AT`), the default and `en` in which the template has a
    /// part, else any language that it has; `None` if there is no such template.
    #[must_use]
    pub fn language(&self, name: &str, wanted: Option<&str>) -> Option<&str> {
        let languages = self.names.get(name)?;
        let main = wanted.and_then(|wanted| wanted.split(['-', '_']).next());
        let order = [wanted, main, Some(&self.fallback), Some("en")];
        let found = order.into_iter().flatten().find_map(|language| languages.get(language));
        found.or_else(|| languages.first()).map(String::as_str)
    }

    /// Renders a built-in template in the nearest language.
    ///
    /// # Errors
    /// [`MailError::Unusable`], naming the template.
    pub fn write(
        &self,
        letter: Letter,
        wanted: Option<&str>,
        variables: &Variables,
    ) -> Result<Rendered, MailError> {
        let language = self.language(letter.name(), wanted).unwrap_or("en");
        let filled = self.fill_with(
            &self.lenient,
            letter.name(),
            language,
            &Filling::from(minijinja::value::Serde(variables)),
        );
        filled.map_err(|error| MailError::Unusable(explain(&error)))
    }

    /// Renders a template, built in or the project's, in the nearest language.
    ///
    /// # Errors
    /// See [`TemplateError`].
    pub fn fill(
        &self,
        name: &str,
        wanted: Option<&str>,
        data: &Map<String, Value>,
    ) -> Result<Rendered, TemplateError> {
        let Some(language) = self.language(name, wanted) else {
            let name = name.chars().take(80).collect::<String>().escape_debug().to_string();
            return Err(TemplateError::Unknown { name, known: self.names().map(str::to_owned).collect() });
        };
        let filled =
            self.fill_with(&self.strict, name, language, &Filling::from(minijinja::value::Serde(data)));
        filled.map_err(|error| {
            let (missing, name) = (self.missing(name, language, data), name.to_owned());
            match error.kind() {
                ErrorKind::UndefinedError if !missing.is_empty() => TemplateError::Missing { name, missing },
                _ => TemplateError::Unfit { name, why: explain(&error) },
            }
        })
    }

    /// A template's part in a language; a missing part is taken from the default language, then from `en`.
    fn part<'a>(
        &self,
        environment: &'a Environment<'static>,
        name: &str,
        language: &str,
        part: &str,
    ) -> Option<Template<'a, 'a>> {
        let languages = [language, &self.fallback, "en"];
        let mut found = languages.into_iter().map(|language| format!("{language}/{name}.{part}"));
        found.find_map(|name| environment.get_template(&name).ok())
    }

    fn fill_with(
        &self,
        environment: &Environment<'static>,
        name: &str,
        language: &str,
        values: &Filling,
    ) -> Result<Rendered, Error> {
        let part = |part| {
            let template = self.part(environment, name, language, part);
            template.map(|template| filled(&template, values)).transpose()
        };
        let subject = part("subject")?.unwrap_or_default();
        let subject = subject.split_whitespace().collect::<Vec<_>>().join(" ");
        Ok(Rendered { subject, text: part("txt")?, html: part("html")? })
    }
}

fn environment(undefined: UndefinedBehavior) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(undefined);
    environment.set_fuel(Some(FUEL));
    environment.set_auto_escape_callback(|name| {
        if name.ends_with(".html") { AutoEscape::Html } else { AutoEscape::None }
    });
    environment.set_formatter(|out, state, value| match value.is_none() {
        true => Ok(()),
        false => escape_formatter(out, state, value),
    });
    environment
}

fn filled(template: &Template<'_, '_>, values: &Filling) -> Result<String, Error> {
    let mut bounded = Bounded(Vec::new());
    template.render_captured_to(values.clone(), &mut bounded)?;
    String::from_utf8(bounded.0).map_err(|error| Error::new(ErrorKind::BadEscape, error.to_string()))
}

/// A writer with a size limit.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() + bytes.len() > MOST_FILLED {
            return Err(std::io::Error::other(format!("more than {MOST_FILLED} bytes")));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// File, line and mistake.
fn explain(error: &Error) -> String {
    let mut text = error.kind().to_string();
    let cause = std::error::Error::source(error).map(ToString::to_string);
    for more in error.detail().map(str::to_owned).into_iter().chain(cause) {
        text.push_str(&format!(": {more}"));
    }
    match (error.name(), error.line()) {
        (Some(name), Some(line)) => format!("mail/{name}:{line}: {text}"),
        (Some(name), None) => format!("mail/{name}: {text}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests;
