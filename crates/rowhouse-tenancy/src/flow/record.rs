//! A change in the audit log and in the outbox, in its own transaction.

use rowhouse_audit::Entry;
use rowhouse_db::DbError;
use rowhouse_kernel::TenantId;
use serde_json::{Map, Value};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::store::member::Group;

/// What was done to what.
pub(crate) struct Change<'a> {
    /// Such as `member_removed`; the event is `tenancy.member_removed`.
    pub(crate) action: &'a str,
    pub(crate) target: (&'a str, &'a str),
    pub(crate) group: Group,
    pub(crate) details: Value,
}

impl<'a> Change<'a> {
    /// A change of an organization or tenant itself.
    pub(crate) const fn of_group(action: &'a str, group: Group, id: &'a str, details: Value) -> Self {
        let kind = if group.tenant.is_some() { "tenant" } else { "organization" };
        Self { action, target: (kind, id), group, details }
    }
}

/// Writes an audit entry and an event.
pub(crate) async fn record(tx: &Client, change: Change<'_>) -> Result<(), DbError> {
    let Change { action, target: (target_kind, target_id), group, details } = change;
    let mut details: Map<String, Value> = details.as_object().cloned().unwrap_or_default();
    let entry = Entry {
        source: "tenancy",
        action,
        target_kind,
        target_id,
        tenant: group.tenant,
        details: details.clone(),
    };
    rowhouse_audit::write_about(tx, group.organization, entry).await?;
    details.insert("organization_id".to_owned(), text(group.organization.0));
    details.extend(group.tenant.map(|TenantId(id)| ("tenant_id".to_owned(), text(id))));
    details.insert(format!("{target_kind}_id"), Value::from(target_id));
    rowhouse_event::emit(tx, &format!("tenancy.{action}"), group.tenant, &Value::Object(details)).await?;
    Ok(())
}

fn text(id: Uuid) -> Value {
    Value::from(id.to_string())
}
