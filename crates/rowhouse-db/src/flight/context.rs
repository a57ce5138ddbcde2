//! The statement that opens every flight: live-session check, then role, claims and request settings.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;

use super::{Access, Query, RequestContext};

/// Settings every flight carries, in parameter order. `role` comes first: what follows it runs as the caller.
const SETTINGS: [&str; 10] = [
    "role",
    "request.jwt.claims",
    "request.method",
    "request.path",
    "request.headers",
    "request.cookies",
    "app.current_organization_id",
    "app.current_user_id",
    "jwt.claims.sub",
    "transaction_read_only",
];

static OPEN: LazyLock<Arc<str>> = LazyLock::new(|| open_sql(false).into());
static OPEN_LIVE: LazyLock<Arc<str>> = LazyLock::new(|| open_sql(true).into());

/// The session check stands first in the select list, which PostgreSQL evaluates from left to right; it raises
/// when the session, user, membership or tenant is gone, so neither role nor query is ever reached.
fn open_sql(live: bool) -> String {
    let check = if live { "rowhouse.require_live_session($11, $12, $13), " } else { "" };
    let settings: Vec<String> =
        SETTINGS.iter().enumerate().map(|(i, name)| format!("set_config('{name}', ${}, true)", i + 1)).collect();
    format!("select {check}{}", settings.join(", "))
}

/// Renders the opening statement for one request.
#[must_use]
pub fn open_query(context: &RequestContext<'_>, live_sessions: bool) -> Query {
    let caller = context.caller;
    let id = |id: Option<uuid::Uuid>| id.map_or_else(Bytes::new, |id| Bytes::from(id.to_string()));
    let user = id(caller.user.map(|id| id.0));
    let mut params: Vec<Option<Bytes>> = vec![
        text(&caller.role),
        text(&caller.claims),
        text(context.method),
        text(context.path),
        text(context.headers),
        text(context.cookies),
        Some(id(caller.organization.map(|id| id.0))),
        Some(user.clone()),
        Some(user.clone()),
        text(if context.access == Access::ReadOnly { "on" } else { "off" }),
    ];
    let Some(session) = caller.session.filter(|_| live_sessions) else {
        return Query { sql: Arc::clone(&OPEN), params };
    };
    params.push(text(&session.to_string()));
    params.push(Some(user).filter(|user| !user.is_empty()));
    params.push(caller.tenant.map(|tenant| Bytes::from(tenant.to_string())));
    Query { sql: Arc::clone(&OPEN_LIVE), params }
}

#[expect(clippy::unnecessary_wraps, reason = "a parameter is optional, this one is always there")]
fn text(text: &str) -> Option<Bytes> {
    Some(Bytes::copy_from_slice(text.as_bytes()))
}
