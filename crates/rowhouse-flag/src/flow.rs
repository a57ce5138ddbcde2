//! Changes of flags, for routes and commands alike: each checks, writes and enters the audit log in the transaction that it
//! is given.

use rowhouse_audit::Entry;
use rowhouse_db::{DbError, TransactionError};
use serde_json::{Map, Value as Json, json};
use tokio_postgres::Client;

use crate::definition::{Change, Fields, Flag, check_name};
use crate::overriding::{self, Override, Target};
use crate::store;
use crate::value::{OFF, ROLLOUT};

/// Longest value in an entry of the audit log, in bytes of JSON; of a longer one only the length is entered.
const MAX_AUDITED_BYTES: usize = 2000;

/// Why a flag is not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FlagError {
    /// There is no such flag.
    #[error("there is no such flag")]
    NoFlag,
    /// The subject has no override.
    #[error("this flag has no such override")]
    NoOverride,
    /// There is no such user, tenant or organization.
    #[error("there is no such {0}")]
    NoSubject(&'static str),
    /// A flag of this name exists.
    #[error("there is a flag of this name already")]
    Taken,
    /// An override has a value that the flag would lose.
    #[error("an override has the value {value}, which this would take away: {scope}:{subject}")]
    InUse { value: String, scope: &'static str, subject: uuid::Uuid },
    /// A field is out of bounds, or means nothing for this kind.
    #[error("{0}")]
    Invalid(String),
    /// The database's part.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl TransactionError for FlagError {
    fn database(&self) -> Option<&DbError> {
        if let Self::Db(error) = self { Some(error) } else { None }
    }
}

/// Makes a flag.
pub(crate) async fn create(tx: &Client, name: &str, fields: &Fields) -> Result<Flag, FlagError> {
    check_name(name).and_then(|()| fields.check()).map_err(FlagError::Invalid)?;
    if !store::insert(tx, name, fields).await? {
        return Err(FlagError::Taken);
    }
    store::update(tx, name, fields).await?;
    audit(tx, name, "flag_created", differing(&Json::Null, &json!(fields))).await?;
    get(tx, name).await
}

/// The flag.
pub(crate) async fn get(client: &Client, name: &str) -> Result<Flag, FlagError> {
    store::find(client, name).await?.ok_or(FlagError::NoFlag)
}

/// The flag, locked.
pub(crate) async fn lock(tx: &Client, name: &str) -> Result<Flag, FlagError> {
    store::lock(tx, name).await?.ok_or(FlagError::NoFlag)
}

/// Changes a flag that is locked.
pub(crate) async fn change(tx: &Client, before: &Flag, change: &Change) -> Result<Flag, FlagError> {
    let fields = change.apply(&before.fields);
    fields.check().map_err(FlagError::Invalid)?;
    if fields.names() != before.fields.names() {
        let values = [fields.names(), vec![OFF.to_owned(), ROLLOUT.to_owned()]].concat();
        if let Some(one) = overriding::other_than(tx, &before.name, &values).await? {
            let (value, scope, subject) = (one.value, one.scope.as_str(), one.subject);
            return Err(FlagError::InUse { value, scope, subject });
        }
    }
    store::update(tx, &before.name, &fields).await?;
    audit(tx, &before.name, "flag_changed", differing(&json!(before.fields), &json!(fields))).await?;
    get(tx, &before.name).await
}

/// Deletes a flag with its rules and overrides.
pub(crate) async fn delete(tx: &Client, name: &str) -> Result<(), FlagError> {
    let before = lock(tx, name).await?;
    store::delete(tx, name).await?;
    audit(tx, name, "flag_deleted", differing(&json!(before.fields), &Json::Null)).await
}

/// Sets an override.
pub(crate) async fn set_override(
    tx: &Client,
    name: &str,
    target: Target,
    value: &str,
) -> Result<Override, FlagError> {
    let flag = lock(tx, name).await?;
    flag.fields.check_value("value", value).map_err(FlagError::Invalid)?;
    if !store::exists(tx, target.scope, target.id).await? {
        return Err(FlagError::NoSubject(target.scope.as_str()));
    }
    let (set, before) = overriding::put(tx, name, target, value).await?;
    let details = json!({ "subject": target.to_string(), "before": before, "after": value });
    audit(tx, name, "flag_override_set", details).await?;
    Ok(set)
}

/// Removes an override.
pub(crate) async fn remove_override(tx: &Client, name: &str, target: Target) -> Result<(), FlagError> {
    lock(tx, name).await?;
    let removed = overriding::remove(tx, name, target).await?.ok_or(FlagError::NoOverride)?;
    let details = json!({ "subject": target.to_string(), "before": removed.value, "after": null });
    audit(tx, name, "flag_override_removed", details).await
}

/// The fields that differ, each with its values before and after.
fn differing(before: &Json, after: &Json) -> Json {
    let names = [before, after].into_iter().find_map(Json::as_object).map(Map::keys).into_iter().flatten();
    let changed = names.filter(|name| before[name.as_str()] != after[name.as_str()]);
    let entry = |name: &String| {
        let (before, after) = (&before[name.as_str()], &after[name.as_str()]);
        (name.clone(), json!({ "before": brief(before), "after": brief(after) }))
    };
    Json::Object(changed.map(entry).collect())
}

fn brief(value: &Json) -> Json {
    let length = value.to_string().len();
    if length <= MAX_AUDITED_BYTES { value.clone() } else { json!({ "bytes": length }) }
}

async fn audit(tx: &Client, name: &str, action: &str, details: Json) -> Result<(), FlagError> {
    let mut details = details.as_object().cloned().unwrap_or_default();
    // Several long fields together: the entry would be refused.
    if Json::Object(details.clone()).to_string().len() > 3 * MAX_AUDITED_BYTES {
        details = details.into_iter().map(|(name, _)| (name, Json::from("changed"))).collect();
    }
    let entry =
        Entry { source: "flags", action, target_kind: "flag", target_id: name, tenant: None, details };
    rowhouse_audit::write(tx, entry).await?;
    Ok(())
}
