//! Settings of a tenant: values of a type, and secrets.

use std::sync::Arc;

use rowhouse_crypto::Envelope;
use rowhouse_kernel::{Caller, SharedRng, TenantId};
use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;

use super::record::{Change, record};
use super::tenant;
use crate::error::TenancyError;
use crate::permission::Permission;
use crate::sealed;
use crate::store::member::Group;
use crate::store::setting::{self as store, Setting, SettingContent, SettingKind};

/// Most settings of a tenant.
const MOST_SETTINGS: i64 = 200;
/// Longest name, in bytes.
const MAX_NAME: usize = 100;
/// Longest value, as JSON, in bytes.
const MAX_VALUE: usize = 65_536;
/// Longest secret, in bytes.
const MAX_SECRET: usize = 32_768;
/// A secret of at least so many characters shows the last four.
const HINTED: usize = 16;

/// What seals secrets.
#[derive(Debug, Clone)]
pub(crate) struct Sealer {
    pub(crate) envelope: Arc<Envelope>,
    pub(crate) rng: SharedRng,
}

/// The settings of a tenant, for who may change it.
pub(crate) async fn list(
    client: &Client,
    caller: &Caller,
    id: TenantId,
) -> Result<Vec<Setting>, TenancyError> {
    tenant::get(client, caller, id, Permission::TenantUpdate).await?;
    Ok(store::list(client, id).await?)
}

/// Makes or replaces a setting; `new_id` is that of one that does not exist yet.
pub(crate) async fn put(
    tx: &Client,
    caller: &Caller,
    (id, name): (TenantId, &str),
    (kind, value): (SettingKind, &Value),
    (sealer, new_id): (Sealer, Uuid),
) -> Result<Setting, TenancyError> {
    let tenant = tenant::lock(tx, caller, id, Permission::TenantUpdate).await?;
    check_name(name)?;
    check_value(kind, value)?;
    let before = store::find(tx, id, name).await?;
    if before.is_none() && store::count(tx, id).await? >= MOST_SETTINGS {
        return Err(invalid(&format!("a tenant has at most {MOST_SETTINGS} settings")));
    }
    let key = before.as_ref().map_or(new_id, |setting| setting.id);
    let secret = value.as_str().filter(|_| kind == SettingKind::Secret);
    let sealed = secret.map(|plain| sealed::seal(&sealer.envelope, key, plain, &*sealer.rng)).transpose();
    let sealed = sealed.map_err(|error| TenancyError::Broken(error.to_string()))?;
    let hint = secret.and_then(hint);
    let value = Some(value).filter(|_| secret.is_none());
    let content = SettingContent { kind, value, sealed: sealed.as_deref(), hint: hint.as_deref() };
    let after = store::put(tx, key, id, name, content).await?;
    // Values may be personal, or secret after all: the log has names only.
    let details = json!({ "name": name, "kind": kind, "is_new": before.is_none() });
    note(tx, "tenant_setting_changed", Group::from(&tenant), name, details).await?;
    Ok(after)
}

/// Removes a setting.
pub(crate) async fn remove(
    tx: &Client,
    caller: &Caller,
    id: TenantId,
    name: &str,
) -> Result<(), TenancyError> {
    let tenant = tenant::lock(tx, caller, id, Permission::TenantUpdate).await?;
    if !store::remove(tx, id, name).await? {
        return Err(TenancyError::Missing("setting"));
    }
    note(tx, "tenant_setting_removed", Group::from(&tenant), name, json!({ "name": name })).await
}

async fn note(
    tx: &Client,
    action: &str,
    group: Group,
    name: &str,
    details: Value,
) -> Result<(), TenancyError> {
    Ok(record(tx, Change { action, target: ("setting", name), group, details }).await?)
}

/// Words of letters, digits and underscores, joined by at most four dots.
fn check_name(name: &str) -> Result<(), TenancyError> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let is_word =
        |word: &str| word.starts_with(|c: char| c.is_ascii_lowercase()) && word.chars().all(is_plain);
    let fits = name.len() <= MAX_NAME && name.split('.').count() <= 5 && name.split('.').all(is_word);
    let why = "name: at most 100 of a-z, 0-9 and underscores, in up to five parts with dots between, each beginning with a letter";
    if fits { Ok(()) } else { Err(invalid(why)) }
}

fn check_value(kind: SettingKind, value: &Value) -> Result<(), TenancyError> {
    let fits = match kind {
        SettingKind::Text => value.is_string(),
        SettingKind::Number => value.is_number(),
        SettingKind::Boolean => value.is_boolean(),
        SettingKind::Json => true,
        SettingKind::Secret => {
            value.as_str().is_some_and(|text| !text.is_empty() && text.len() <= MAX_SECRET)
        }
    };
    if !fits {
        return Err(invalid(&format!("value: not a {}, or too long", kind.name())));
    }
    let is_short = value.to_string().len() <= MAX_VALUE;
    if is_short { Ok(()) } else { Err(invalid("value: at most 64 KiB as JSON")) }
}

/// The end of a secret that has enough characters to be told apart by it without being guessed.
fn hint(secret: &str) -> Option<String> {
    let count = secret.chars().count();
    (count >= HINTED).then(|| secret.chars().skip(count - 4).collect())
}

fn invalid(why: &str) -> TenancyError {
    TenancyError::Invalid(why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_of_their_kind() {
        for (kind, fits, refused) in [
            (SettingKind::Text, json!("a"), json!(1)),
            (SettingKind::Number, json!(1.5), json!("1.5")),
            (SettingKind::Boolean, json!(false), json!(null)),
            (SettingKind::Secret, json!("s"), json!("")),
            (SettingKind::Secret, json!("s"), json!({ "a": 1 })),
            (SettingKind::Json, json!(null), json!("x".repeat(MAX_VALUE))),
        ] {
            assert!(check_value(kind, &fits).is_ok(), "{kind:?} {fits}");
            assert!(check_value(kind, &refused).is_err(), "{kind:?}");
        }
    }

    #[test]
    fn names_have_up_to_five_plain_parts() {
        for name in ["a", "smtp.host", "a.b.c.d.e", "a_1.b2"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", "A", "a..b", ".a", "a.", "1a", "a-b", "a.b.c.d.e.f", "_a", &"a".repeat(101)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn short_secret_has_no_hint() {
        assert_eq!(hint(&"x".repeat(15)), None);
        assert_eq!(hint("0123456789abcdef").as_deref(), Some("cdef"));
    }
}
