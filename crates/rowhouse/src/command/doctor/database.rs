//! Checks of the database: reachable, migrated, sign-in of both logins; and notes on what it exposes.

use rowhouse_db::{DbError, DbSettings, migrate};
use rowhouse_isolation::{Scope, Severity, audit_read_only};
use rowhouse_jobs::schedule::clock_mistake;
use rowhouse_kernel::settings::Settings;
use rowhouse_module::{Project, counted};
use rowhouse_rest::RestSettings;
use rowhouse_tenancy::user_sync::{Trigger, UserSync};
use tokio_postgres::Client;

use super::Findings;
use crate::command::clock;
use crate::command::migrate::{connect_project, data_plane};
use crate::platform;

pub(super) async fn check(project: &Project, settings: &Settings, found: &mut Findings) {
    let client = match connect_project(project).await {
        Ok(client) => client,
        Err(error) => return found.check("database", Err(error.to_string())),
    };
    let schema = schema(project, &client).await;
    let is_migrated = schema.is_ok();
    found.check("database", schema);
    if is_migrated {
        let hooks = settings.get::<rowhouse_auth::AuthHookSettings>();
        report("hooks", rowhouse_auth::hook_mistakes(&client, &hooks).await, found);
        let provisioning = settings.get::<rowhouse_provision::ProvisionSettings>();
        report("provisioning", rowhouse_provision::mistakes(&client, &provisioning).await, found);
        let jobs = settings.get::<rowhouse_jobs::JobsSettings>();
        report("jobs", rowhouse_jobs::sql_handler::mistakes(&client, &jobs).await, found);
        found.check("sign-up", sign_up(project, &client).await);
        match deferrable_triggers(&client).await {
            Ok(named) => found.notes.extend(named),
            Err(error) => found.check("triggers", Err(error.to_string())),
        }
    }
    match rowhouse_db::scratch::leftovers(&client).await {
        Ok(left) => found.notes.extend(left.iter().map(|name| left_behind(name))),
        Err(error) => found.check("databases", Err(error.to_string())),
    }
    match clock_mistake(&client, &*clock()).await {
        Ok(mistake) => found.notes.extend(mistake),
        Err(error) => found.check("clock", Err(error.to_string())),
    }
    if let Ok(Some(urls)) = data_plane(&settings.get::<DbSettings>()) {
        let signed_in = rowhouse_db::require_sign_in(&urls).await;
        let detail = signed_in.map(|()| "both data-plane logins can sign in".to_owned());
        found.check("logins", detail.map_err(|error| error.to_string()));
    }
    let rest = settings.get::<RestSettings>();
    match rowhouse_ops::exposures(&client, &rest.schemas, rest.default_grants).await {
        Ok(exposures) => found.notes.extend(exposures),
        Err(error) => found.check("exposure", Err(error.to_string())),
    }
    let is_embedded = settings.get::<DbSettings>().server_url().is_none();
    let backup = settings.get::<rowhouse_backup::BackupSettings>();
    let backups = rowhouse_backup::standing(&client, is_embedded, &backup).await;
    found.check("backups", backups.unwrap_or_else(|error| Err(error.to_string())));
    found.check("isolation", isolation(project, &client, settings).await);
}

/// Whether tenants can reach each other's rows, as far as the catalogs tell.
async fn isolation(project: &Project, client: &Client, settings: &Settings) -> Result<String, String> {
    let scope = Scope::of(settings).map_err(|error| error.to_string())?;
    let report = audit_read_only(client, &scope).await.map_err(|error| error.to_string())?;
    let errors = counted(report.count(Severity::Error), "error", "errors");
    match report.passes() {
        true => Ok("no errors in what the catalogs say".to_owned()),
        false => Err(format!("{errors}; run: rowhouse rls audit{}", project.dir_option())),
    }
}

/// What settings name and the database has not; nothing is said of what is in order.
fn report(name: &'static str, mistakes: Result<Vec<String>, DbError>, found: &mut Findings) {
    match mistakes {
        Ok(mistakes) if mistakes.is_empty() => {}
        Ok(mistakes) => found.check(name, Err(mistakes.join("; "))),
        Err(error) => found.check(name, Err(error.to_string())),
    }
}

/// Of a command that was killed.
fn left_behind(name: &str) -> String {
    format!(
        "the database {name} was left by a command that was killed while it tried migrations in it; the next `rowhouse up`, `migrate \
         roundtrip`, `migrate trace` or `rls prove --http` drops it, or: drop database \"{}\"",
        name.replace('"', "\"\"")
    )
}

/// Whether new users get what belongs to them.
async fn sign_up(project: &Project, client: &Client) -> Result<String, String> {
    let sync = UserSync::measure(client).await.map_err(|error| error.to_string())?;
    match sync.trigger {
        Trigger::Active => Ok("new users get a profile and a tenant".to_owned()),
        other => Err(format!(
            "new users get no profile and no tenant, since the trigger on_auth_user_created is {}; run: rowhouse users repair{}",
            other.as_str(),
            project.dir_option()
        )),
    }
}

/// Triggers of the project that may run with the rights of whoever commits.
async fn deferrable_triggers(client: &Client) -> Result<Vec<String>, tokio_postgres::Error> {
    let rows = client.query(include_str!("../../../sql/deferrable_triggers.sql"), &[]).await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

async fn schema(project: &Project, client: &Client) -> Result<String, String> {
    let migrations = migrate::read_project(&project.migrations()).map_err(|error| error.to_string())?;
    let plan = migrate::plan(client, &platform::migrations(), &migrations).await;
    match plan.map_err(|error| error.to_string())?.pending().count() {
        0 => Ok("reached; nothing pending".to_owned()),
        pending => {
            Err(format!("{pending} migrations are pending; run: rowhouse migrate up{}", project.dir_option()))
        }
    }
}
