//! `keys`: the ring, its rotation, and fresh API keys. A running server hears of every change.

use rowhouse_auth::{ApiKeyInfo, ApiKeys, KeyInfo, KeyStore, Revoked, Rotated};
use rowhouse_crypto::Purpose;
use rowhouse_db::Control;
use rowhouse_kernel::settings::{AuthSettings, DbSettings, ServerSettings, Settings};
use rowhouse_module::{CannotRun, Outcome, Project, State};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::cli::{ApiRole, KeysCommand};
use crate::command::migrate::project_url;

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
        KeysCommand::Rotate { api, revoke, dry_run } => {
            let purpose = if *api { Purpose::Api } else { Purpose::Access };
            let asked = Rotation { purpose, revoke: *revoke };
            if *dry_run { Ok(asked.preview(&keys)) } else { asked.run(project, &settings, &keys).await }
        }
        KeysCommand::Revoke { id } => revoke(project, &settings, &keys, id).await,
        KeysCommand::Issue { role, expires_in_days } => {
            issue(project, &settings, &keys, *role, *expires_in_days).await
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "used as a function in map_err")]
fn failed(error: rowhouse_auth::KeyStoreError) -> CannotRun {
    CannotRun::because(error.to_string())
}

async fn list(keys: &KeyStore) -> Result<Outcome, CannotRun> {
    let (signing, api) = (keys.list().await.map_err(failed)?, keys.list_api_keys().await.map_err(failed)?);
    let mut table = table(["kid", "purpose", "algorithm", "status", "created", "rotated"]);
    let mut rows: Vec<Value> = Vec::new();
    for key in &signing {
        let [created, rotated] = [Some(key.created_at), key.rotated_at].map(shown);
        let (purpose, status) = (key.purpose.as_str(), key.status.as_str());
        table.add_row([&*key.jwk.kid, purpose, algorithm(key), status, text(&created), text(&rotated)]);
        rows.push(json!({ "kid": key.jwk.kid, "purpose": purpose, "algorithm": algorithm(key), "status": status, "created_at": created, "rotated_at": rotated }));
    }
    let (api_table, api_rows) = api_keys(&api);
    let text = format!("signing keys\n{table}\n\nAPI keys\n{api_table}");
    Ok(Outcome::yes(json!({ "keys": rows, "api_keys": api_rows }), text))
}

fn api_keys(keys: &[ApiKeyInfo]) -> (comfy_table::Table, Vec<Value>) {
    let mut table = table(["id", "role", "signed with", "issued", "expires", "revoked"]);
    let mut rows = Vec::new();
    for key in keys {
        let [issued, expires, revoked] =
            [Some(key.issued_at), Some(key.expires_at), key.revoked_at].map(shown);
        let id = key.id.to_string();
        table.add_row([&*id, &*key.role, &*key.kid, text(&issued), text(&expires), text(&revoked)]);
        rows.push(json!({ "id": id, "role": key.role, "kid": key.kid, "issued_at": issued, "expires_at": expires, "revoked_at": revoked }));
    }
    (table, rows)
}

fn table(header: [&str; 6]) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_header(header);
    table
}

fn shown(time: Option<OffsetDateTime>) -> Option<String> {
    time.and_then(|time| time.format(&Rfc3339).ok())
}

fn text(value: &Option<String>) -> &str {
    value.as_deref().unwrap_or_default()
}

fn algorithm(key: &KeyInfo) -> &str {
    key.jwk.alg.as_str()
}

/// What `keys rotate` is asked for.
struct Rotation {
    purpose: Purpose,
    revoke: bool,
}

impl Rotation {
    fn preview(&self, keys: &KeyStore) -> Outcome {
        let (ring, purpose) = (keys.ring(), self.purpose.as_str());
        let current = ring.signing_kid(self.purpose);
        let fate = if self.revoke { "is refused at once" } else { "stays valid" };
        let text = format!("would retire the {purpose} key {current}; what it signed {fate}");
        Outcome::yes(json!({ "purpose": purpose, "would_retire": current, "revoke": self.revoke }), text)
    }

    async fn run(
        &self,
        project: &Project,
        settings: &Settings,
        keys: &KeyStore,
    ) -> Result<Outcome, CannotRun> {
        let current = keys.ring().signing_kid(self.purpose).to_owned();
        let Rotated { signing, revoked } = keys.rotate(self.purpose, self.revoke).await.map_err(failed)?;
        let purpose = self.purpose.as_str();
        let fate = if self.revoke { "are refused from now on" } else { "stay valid" };
        let text =
            format!("{purpose} tokens are signed with {signing} now; those signed with {current} {fate}");
        let mut document = json!({ "purpose": purpose, "signing": signing, "revoked": revoked });
        if !self.revoke {
            document["verifying"] = current.into();
        }
        with_api_keys(project, settings, keys, self.purpose, (document, text)).await
    }
}

/// Adds the API keys that take the place of the former ones, where those were rotated.
async fn with_api_keys(
    project: &Project,
    settings: &Settings,
    keys: &KeyStore,
    purpose: Purpose,
    (mut document, text): (Value, String),
) -> Result<Outcome, CannotRun> {
    if purpose != Purpose::Api {
        return Ok(Outcome::yes(document, text));
    }
    let fresh = match ApiKeys::renew(project, keys).await? {
        Some(fresh) => fresh,
        None => ApiKeys::issue(keys, &public_url(project, settings)).await?,
    };
    document["anon_key"] = fresh.anon_key.clone().into();
    document["service_role_key"] = fresh.service_role_key.clone().into();
    let text =
        format!("{text}\nanon_key          {}\nservice_role_key  {}", fresh.anon_key, fresh.service_role_key);
    Ok(Outcome::yes(document, text))
}

async fn revoke(
    project: &Project,
    settings: &Settings,
    keys: &KeyStore,
    id: &str,
) -> Result<Outcome, CannotRun> {
    let revoked = keys.revoke(id).await.map_err(failed)?;
    let revoked = revoked.ok_or_else(|| CannotRun::because(format!("no key {id} (see `keys list`)")))?;
    match revoked {
        Revoked::ApiKey => {
            let text = format!("the API key {id} is refused from now on");
            let mut document = json!({ "revoked": id, "kind": "api_key" });
            // Where it was one of those that `up` shows, others take their place.
            if let Some(current) = ApiKeys::renew(project, keys).await? {
                document["anon_key"] = current.anon_key.into();
                document["service_role_key"] = current.service_role_key.into();
            }
            Ok(Outcome::yes(document, text))
        }
        Revoked::SigningKey(purpose) => {
            let text = format!("everything that {id} signed is refused from now on");
            Ok(Outcome::yes(json!({ "revoked": id, "kind": "key", "purpose": purpose.as_str() }), text))
        }
        Revoked::Signer(purpose) => {
            let signing = keys.ring().signing_kid(purpose).to_owned();
            let text = format!("everything that {id} signed is refused from now on; {signing} signs now");
            let document =
                json!({ "revoked": id, "kind": "key", "purpose": purpose.as_str(), "signing": signing });
            with_api_keys(project, settings, keys, purpose, (document, text)).await
        }
    }
}

/// Under which URL users reach the server.
fn public_url(project: &Project, settings: &Settings) -> String {
    let running = State::read(project).map(|state| state.url);
    running.or_else(|| settings.get::<ServerSettings>().public_url.clone()).unwrap_or_default()
}

async fn issue(
    project: &Project,
    settings: &Settings,
    keys: &KeyStore,
    role: ApiRole,
    days: u32,
) -> Result<Outcome, CannotRun> {
    let url = public_url(project, settings);
    let role = match role {
        ApiRole::Anon => "anon",
        ApiRole::ServiceRole => "service_role",
    };
    let lifetime = time::Duration::days(i64::from(days));
    let key = keys.issue_api_key(role, &url, lifetime).await.map_err(failed)?;
    Ok(Outcome::yes(json!({ "role": role, "expires_in_days": days, "key": key }), key.clone()))
}
