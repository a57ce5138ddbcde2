//! Checks of production: unsafe settings, as each group defines them, and data-plane logins with rights.

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

/// All reasons against a start, in one list: unsafe settings, mistakes in the project's files, and, if there are any,
/// whether the database answers. An unavailable database alone is reported by its first use.
pub(crate) async fn require_startable(
    modules: &Modules,
    project: &Project,
    settings: &Settings,
    mut found: Vec<String>,
) -> Result<(), CannotRun> {
    let mistakes = modules.check_project(project, settings).err().map(|mistakes| mistakes.0);
    let others =
        unsafe_settings(&modules.settings(), settings).into_iter().chain(mistakes.unwrap_or_default());
    for reason in others {
        if !found.contains(&reason) {
            found.push(reason);
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    if let Some(url) = &settings.get::<DbSettings>().url
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
