//! Letters: mails that the program itself writes, from templates that a project may replace file by file.
//!
//! A project's `mail/<language>/<name>.subject`, `.txt` and `.html` come before those brought along. All are rendered
//! with samples when they are read, so that a mistake is found at the start and not with the first sign-up.

mod embedded;

use std::collections::BTreeSet;
use std::path::Path;

use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde::Serialize;
use serde_json::{Value, json};

use crate::error::MailError;
use embedded::EMBEDDED;

/// Largest template file.
const MOST_BYTES: u64 = 512 * 1024;

/// What the program writes to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Letter {
    /// Confirm the address of a new account.
    Confirmation,
    /// Sign in with a link or code.
    MagicLink,
    /// Choose a new password.
    Recovery,
    /// Accept an invitation.
    Invite,
    /// Confirm a changed address.
    EmailChange,
    /// Show with a code that it is you.
    Reauthentication,
    /// Shows that mails arrive.
    Test,
}

impl Letter {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::Confirmation,
        Self::MagicLink,
        Self::Recovery,
        Self::Invite,
        Self::EmailChange,
        Self::Reauthentication,
        Self::Test,
    ];

    /// The name of its files; those of GoTrue's templates.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Confirmation => "confirmation",
            Self::MagicLink => "magic_link",
            Self::Recovery => "recovery",
            Self::Invite => "invite",
            Self::EmailChange => "email_change",
            Self::Reauthentication => "reauthentication",
            Self::Test => "test",
        }
    }
}

/// What templates may name; GoTrue's names, so that its templates work (`{{ .Token }}` and `{{ Token }}` are the same).
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Variables {
    /// The product; from `mail.site_name` where empty.
    pub site_name: String,
    /// Where the application is.
    #[serde(rename = "SiteURL")]
    pub site_url: String,
    /// The link that does what the letter is about.
    #[serde(rename = "ConfirmationURL")]
    pub confirmation_url: String,
    /// The code that does the same when typed.
    pub token: String,
    /// The token for links of one's own.
    pub token_hash: String,
    /// Where the link leads in the end.
    pub redirect_to: String,
    /// The account's address.
    pub email: String,
    /// The address it is to have.
    pub new_email: String,
    /// The user's metadata.
    pub data: Value,
}

/// A letter's parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// One line.
    pub subject: String,
    /// The text.
    pub text: String,
    /// The same as HTML.
    pub html: String,
}

/// Templates by language.
pub struct Templates {
    environment: Environment<'static>,
    languages: BTreeSet<String>,
}

impl std::fmt::Debug for Templates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Templates").field("languages", &self.languages).finish_non_exhaustive()
    }
}

impl Templates {
    /// Those that the program brings, in the languages `en` and `de`.
    ///
    /// # Errors
    /// Never, as a test shows.
    pub fn embedded() -> Result<Self, MailError> {
        Self::read(None)
    }

    /// The same, with those of the project in `folder` before them; it need not exist.
    ///
    /// # Errors
    /// [`MailError::Unusable`], naming the file: one that is no template's, cannot be read, or does not render.
    pub fn of_project(folder: &Path) -> Result<Self, MailError> {
        Self::read(folder.is_dir().then_some(folder))
    }

    fn read(folder: Option<&Path>) -> Result<Self, MailError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Chainable);
        environment.set_auto_escape_callback(|name| {
            if name.ends_with(".html") { AutoEscape::Html } else { AutoEscape::None }
        });
        let mut templates = Self { environment, languages: BTreeSet::new() };
        for (name, text) in EMBEDDED {
            templates.add(name, text)?;
        }
        for (name, text) in folder.map(files).transpose()?.unwrap_or_default() {
            templates.add(&name, &text)?;
        }
        templates.try_samples()?;
        Ok(templates)
    }

    fn add(&mut self, name: &str, text: &str) -> Result<(), MailError> {
        // GoTrue's templates are Go's, which put a dot before variables.
        let text = text.replace("{{ .", "{{ ").replace("{{.", "{{ ");
        if let Some((language, _)) = name.split_once('/') {
            self.languages.insert(language.to_owned());
        }
        let added = self.environment.add_template_owned(name.to_owned(), text);
        added.map_err(|error| MailError::Unusable(format!("mail/{name}: {error}")))
    }

    fn try_samples(&self) -> Result<(), MailError> {
        let sample = Variables::sample();
        self.require_known(&sample)?;
        for language in &self.languages {
            for letter in Letter::ALL {
                self.render(*letter, language, &sample)?;
            }
        }
        Ok(())
    }

    /// A misspelt variable would be silently empty; a key that one user's metadata lacks is meant to be.
    fn require_known(&self, sample: &Variables) -> Result<(), MailError> {
        let known = serde_json::to_value(sample).map_err(|error| MailError::Unusable(error.to_string()))?;
        for (name, template) in self.environment.templates() {
            let used = template.undeclared_variables(false);
            if let Some(unknown) = used.iter().find(|variable| known.get(variable).is_none()) {
                return Err(MailError::Unusable(format!("mail/{name}: there is no variable {unknown}")));
            }
        }
        Ok(())
    }

    /// The languages that there is something in.
    pub fn languages(&self) -> impl Iterator<Item = &str> {
        self.languages.iter().map(String::as_str)
    }

    /// The first of `wanted`, its main part (`de` of `de-AT`), `fallback` and `en` that there is.
    #[must_use]
    pub fn language(&self, wanted: Option<&str>, fallback: &str) -> &str {
        let main = wanted.and_then(|wanted| wanted.split(['-', '_']).next());
        let order = [wanted, main, Some(fallback)];
        let found = order.into_iter().flatten().find_map(|language| self.languages.get(language));
        found.map_or("en", String::as_str)
    }

    /// Renders a letter; parts that a language lacks are taken from `en`.
    ///
    /// # Errors
    /// [`MailError::Unusable`], naming the template.
    pub fn render(
        &self,
        letter: Letter,
        language: &str,
        variables: &Variables,
    ) -> Result<Rendered, MailError> {
        let part = |extension: &str| {
            let name = |language: &str| format!("{language}/{}.{extension}", letter.name());
            let own = self.environment.get_template(&name(language));
            let template = own.or_else(|_| self.environment.get_template(&name("en")));
            let rendered = template.and_then(|template| template.render(minijinja::value::Serde(variables)));
            rendered.map_err(|error| MailError::Unusable(format!("mail/{}: {error}", name(language))))
        };
        let subject = part("subject")?.split_whitespace().collect::<Vec<_>>().join(" ");
        Ok(Rendered { subject, text: part("txt")?, html: part("html")? })
    }
}

impl Variables {
    /// One of everything, for trying templates.
    #[must_use]
    pub fn sample() -> Self {
        Self {
            site_name: "Sample".to_owned(),
            site_url: "https://app.example".to_owned(),
            confirmation_url: "https://app.example/auth/v1/verify?token=abc&type=signup".to_owned(),
            token: "123456".to_owned(),
            token_hash: "0123456789abcdef".to_owned(),
            redirect_to: "https://app.example/welcome".to_owned(),
            email: "ada@b.example".to_owned(),
            new_email: "lovelace@b.example".to_owned(),
            data: json!({ "name": "Ada" }),
        }
    }
}

/// A project's files by name; anything that is no template's is a mistake worth telling.
fn files(folder: &Path) -> Result<Vec<(String, String)>, MailError> {
    let failed = |path: &Path, error: &dyn std::fmt::Display| {
        MailError::Unusable(format!("{}: {error}", path.display()))
    };
    let list = |path: &Path| -> Result<Vec<std::path::PathBuf>, MailError> {
        let entries = std::fs::read_dir(path).map_err(|error| failed(path, &error))?;
        let mut paths: Vec<_> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
        paths.sort();
        Ok(paths)
    };
    let mut found = Vec::new();
    let inner = |path: std::path::PathBuf| if path.is_dir() { list(&path) } else { Ok(vec![path]) };
    for path in list(folder)?.into_iter().map(inner).collect::<Result<Vec<_>, _>>()?.concat() {
        let name = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().into_owned();
        if !is_template(&name) {
            let names: Vec<_> = Letter::ALL.iter().map(|letter| letter.name()).collect();
            let expected = format!(
                "no template's name; expected <language>/<name>.subject, .txt or .html with {}",
                names.join(", ")
            );
            return Err(failed(&path, &expected));
        }
        let size = std::fs::metadata(&path).map_err(|error| failed(&path, &error))?.len();
        if size > MOST_BYTES {
            return Err(failed(&path, &format!("larger than {MOST_BYTES} bytes")));
        }
        found.push((name, std::fs::read_to_string(&path).map_err(|error| failed(&path, &error))?));
    }
    Ok(found)
}

fn is_template(name: &str) -> bool {
    let Some((language, file)) = name.split_once('/') else { return name == "layout.html" };
    let is_language = (2..=12).contains(&language.len())
        && language.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let Some((stem, extension)) = file.split_once('.') else { return false };
    is_language
        && ["subject", "txt", "html"].contains(&extension)
        && Letter::ALL.iter().any(|letter| letter.name() == stem)
}

#[cfg(test)]
mod tests;
