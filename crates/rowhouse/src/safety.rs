//! Checks of production: unsafe settings, as each group defines them, and data-plane logins with rights.

use std::collections::HashSet;

use rowhouse_db::{DataPlaneUrls, DbError, DbSettings, connect};
use rowhouse_kernel::SERVICE_ROLE;
use rowhouse_kernel::settings::{self, Environment, GroupSpec, ProjectSettings, Settings, Source, Sources};
use rowhouse_module::{CannotRun, Modules, Project};
use tokio_postgres::Client;

/// `serve` runs in production mode unless `environment` is set.
pub(crate) fn assume_production(settings: &mut Settings, sources: &Sources) {
    if sources.source("", "environment") == Some(&Source::Default) {
        settings.update(|project: &mut ProjectSettings| project.environment = Environment::Production);
    }
}

/// Everything unsafe about a production configuration, each named; nothing outside production.
pub(crate) fn unsafe_settings(groups: &[GroupSpec], settings: &Settings) -> Vec<String> {
    match settings.is_production() {
        true => settings::unsafe_settings(groups, settings),
        false => Vec::new(),
    }
}

/// All reasons against a start that need no database, in one list: mistakes made in reading the settings, what is missing,
/// unsafe settings, and mistakes in the project's files. Of a key that could not be read nothing else is said: it has its
/// default, which nobody has chosen.
pub(crate) fn reasons(
    modules: &Modules,
    project: &Project,
    settings: &Settings,
    mistakes: Vec<String>,
    missing: Vec<String>,
) -> Vec<String> {
    let broken: HashSet<String> = mistakes.iter().map(|reason| key(reason).to_owned()).collect();
    if broken.contains("rowhouse.toml") {
        return mistakes;
    }
    let of_project = modules.check_project(project, settings).err().map(|mistakes| mistakes.0);
    let others = missing.into_iter().chain(unsafe_settings(&modules.settings(), settings));
    let mut found = mistakes;
    for reason in others.chain(of_project.unwrap_or_default()) {
        if !broken.contains(key(&reason)) && !found.contains(&reason) {
            found.push(reason);
        }
    }
    found
}

/// What a reason is about.
fn key(reason: &str) -> &str {
    reason.split_once(": ").map_or(reason, |(key, _)| key)
}

/// Refuses a start for these reasons. If there are any, they include whether the database answers; an unavailable database
/// alone is reported by its first use.
pub(crate) async fn require_none(settings: &Settings, mut found: Vec<String>) -> Result<(), CannotRun> {
    if found.is_empty() {
        return Ok(());
    }
    if let Some(url) = &settings.get::<DbSettings>().url
        && !found.iter().any(|reason| key(reason) == "db.url")
        && let Err(error) = connect(url).await
    {
        found.push(format!("db.url: {error}"));
    }
    Err(CannotRun(found))
}

/// Refuses data-plane logins, as named in the URLs, that could bypass row-level security.
pub(crate) async fn require_powerless_logins(client: &Client, urls: &DataPlaneUrls) -> Result<(), CannotRun> {
    let mut found = Vec::new();
    for (url, may_become) in [(&urls.authenticator, ""), (&urls.service, SERVICE_ROLE)] {
        let login = rowhouse_db::url::login(url)?;
        let row = client
            .query_opt(include_str!("../sql/login_powers.sql"), &[&login, &may_become])
            .await
            .map_err(DbError::from)?;
        let powers = match row {
            Some(row) => row.get(0),
            None => vec!["does not exist".to_owned()],
        };
        found.extend(powers.iter().map(|power| {
            format!("database role {login} {power}; the data plane must have no rights of its own")
        }));
    }
    if found.is_empty() { Ok(()) } else { Err(CannotRun(found)) }
}

#[cfg(test)]
mod tests;
