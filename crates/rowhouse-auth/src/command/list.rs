//! `keys list`.

use rowhouse_module::{CannotRun, CommandOutcome};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::failed;
use crate::{ApiKeyInfo, KeyInfo, KeyStore};

pub(super) async fn list(keys: &KeyStore) -> Result<CommandOutcome, CannotRun> {
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
    let mut text = format!("signing keys\n{table}\n\nAPI keys\n{api_table}");
    if api.is_empty() {
        text.push_str("\nnone yet; front ends and servers get theirs by: rowhouse keys issue --role anon, and --role service_role");
    }
    Ok(CommandOutcome::yes(json!({ "keys": rows, "api_keys": api_rows }), text))
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
