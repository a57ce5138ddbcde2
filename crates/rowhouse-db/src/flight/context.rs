//! The statement that opens every flight: live-session check, then role, claims and request settings.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;

use super::{Access, Query, RequestContext};

/// Settings every flight carries, in parameter order.
const SETTINGS: [&str; 11] = [
    // A function a former caller ran may have changed it for the session.
    "search_path",
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

/// The statement with and without the session check, with and without a time zone.
static OPEN: LazyLock<[[Arc<str>; 2]; 2]> =
    LazyLock::new(|| [false, true].map(|live| [false, true].map(|zone| open_sql(live, zone).into())));

/// The session check stands before the role in the select list, which PostgreSQL evaluates from left to right; it
/// raises when the session, user, membership or tenant is gone, so neither role nor query is ever reached.
fn open_sql(live: bool, zone: bool) -> String {
    let mut items: Vec<String> = SETTINGS
        .iter()
        .enumerate()
        .map(|(i, name)| format!("set_config('{name}', ${}, true)", i + 1))
        .collect();
    if live {
        items.insert(1, "rowhouse.require_live_session($12, $13, $14)".to_owned());
    }
    if zone {
        items.push(format!("set_config('TimeZone', ${}, true)", if live { 15 } else { 12 }));
    }
    format!("select {}", items.join(", "))
}

/// What a signed-in caller's opening statement sets and checks: its SQL, and its parameters' names in order.
#[must_use]
pub fn opening() -> (Arc<str>, Vec<&'static str>) {
    let names = SETTINGS.iter().chain(&["session", "user", "tenant"]).copied().collect();
    (Arc::clone(&OPEN[1][0]), names)
}

/// Renders the opening statement for one request.
#[must_use]
pub fn open_query(context: &RequestContext<'_>, live_sessions: bool) -> Query {
    let caller = context.caller;
    let id = |id: Option<uuid::Uuid>| id.map_or_else(Bytes::new, |id| Bytes::from(id.to_string()));
    let user = id(caller.user.map(|id| id.0));
    let mut params: Vec<Option<Bytes>> = vec![
        text(context.search_path),
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
    let named = caller.session.is_some() || caller.user.is_some() || caller.tenant.is_some();
    let live = named && live_sessions;
    if live {
        params.push(caller.session.map(|session| Bytes::from(session.to_string())));
        params.push(Some(user).filter(|user| !user.is_empty()));
        params.push(caller.tenant.map(|tenant| Bytes::from(tenant.to_string())));
    }
    params.extend(context.time_zone.map(text));
    let sql = &OPEN[usize::from(live)][usize::from(context.time_zone.is_some())];
    Query { sql: Arc::clone(sql), params }
}

#[expect(clippy::unnecessary_wraps, reason = "a parameter is optional, this one is always there")]
fn text(text: &str) -> Option<Bytes> {
    Some(Bytes::copy_from_slice(text.as_bytes()))
}
