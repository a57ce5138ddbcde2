//! `keys`: the ring, its rotation, and fresh API keys. A running server hears of every change.

use rowhouse_auth::{KeyInfo, KeyStore};
use rowhouse_crypto::Purpose;
use rowhouse_db::Control;
use rowhouse_kernel::settings::{AuthSettings, DbSettings, ServerSettings, Settings};
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use crate::cli::{ApiRole, KeysCommand};
use crate::command::migrate::project_url;
use rowhouse_module::Project;
use rowhouse_module::State;
use rowhouse_module::{CannotRun, Outcome};

pub(super) async fn run(project: &Project, command: &KeysCommand) -> Result<Outcome, CannotRun> {
    let (mut settings, _) = crate::modules::settings(project)?;
    if project.private("keys/secrets.toml").exists() {
        crate::modules::modules().generate_secrets(project, &mut settings, &*super::rng())?;
    }
    let control = Control::open(&project_url(project)?, &settings.get::<DbSettings>())?;
    let keys = KeyStore::open(control, &settings.get::<AuthSettings>(), super::clock(), super::rng())
        .await
        .map_err(failed)?;
    match command {
        KeysCommand::List => list(&keys).await,
        KeysCommand::Rotate { api, dry_run } => {
            rotate(&keys, if *api { Purpose::Api } else { Purpose::Access }, *dry_run).await
        }
        KeysCommand::Issue { role, expires_in_days } => {
            issue(project, &settings, &keys, *role, *expires_in_days)
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "used as a function in map_err")]
fn failed(error: rowhouse_auth::KeyStoreError) -> CannotRun {
    CannotRun::because(error.to_string())
}

async fn list(keys: &KeyStore) -> Result<Outcome, CannotRun> {
    let keys = keys.list().await.map_err(failed)?;
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_header([
        "kid",
        "purpose",
        "algorithm",
        "status",
        "created",
        "rotated",
    ]);
    let mut rows: Vec<Value> = Vec::new();
    for key in &keys {
        let [created, rotated] = [Some(key.created_at), key.rotated_at]
            .map(|time| time.and_then(|time| time.format(&Rfc3339).ok()));
        table.add_row([
            &*key.jwk.kid,
            key.purpose.as_str(),
            algorithm(key),
            key.status.as_str(),
            created.as_deref().unwrap_or(""),
            rotated.as_deref().unwrap_or(""),
        ]);
        rows.push(json!({ "kid": key.jwk.kid, "purpose": key.purpose.as_str(), "algorithm": algorithm(key), "status": key.status.as_str(), "created_at": created, "rotated_at": rotated }));
    }
    Ok(Outcome::yes(json!({ "keys": rows }), table.to_string()))
}

fn algorithm(key: &KeyInfo) -> &str {
    key.jwk.alg.as_str()
}

async fn rotate(keys: &KeyStore, purpose: Purpose, dry_run: bool) -> Result<Outcome, CannotRun> {
    let current = keys.ring().signing_kid(purpose).to_owned();
    let purpose_name = purpose.as_str();
    if dry_run {
        let text = format!("would retire the {purpose_name} key {current}; tokens signed with it stay valid");
        return Ok(Outcome::yes(json!({ "purpose": purpose_name, "would_retire": current }), text));
    }
    let next = keys.rotate(purpose).await.map_err(failed)?;
    let text =
        format!("{purpose_name} tokens are signed with {next} now; those signed with {current} stay valid");
    Ok(Outcome::yes(json!({ "purpose": purpose_name, "signing": next, "verifying": current }), text))
}

fn issue(
    project: &Project,
    settings: &Settings,
    keys: &KeyStore,
    role: ApiRole,
    days: u32,
) -> Result<Outcome, CannotRun> {
    let url = State::read(project)
        .map(|state| state.url)
        .or_else(|| settings.get::<ServerSettings>().public_url.clone())
        .unwrap_or_default();
    let role = match role {
        ApiRole::Anon => "anon",
        ApiRole::ServiceRole => "service_role",
    };
    let key = keys.issue_api_key(role, &url, time::Duration::days(i64::from(days))).map_err(failed)?;
    Ok(Outcome::yes(json!({ "role": role, "expires_in_days": days, "key": key }), key.clone()))
}
