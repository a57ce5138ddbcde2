//! The statement that opens every flight: live-session check, then role, claims and request settings.

use std::ops::Range;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use uuid::Uuid;

use super::{Access, Query, RequestContext};

/// Settings every flight carries, in parameter order.
const SETTINGS: [&str; 11] = [
    // An earlier caller's function may have changed it for the session.
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

/// The session check precedes the role among the arguments, which PostgreSQL evaluates from left to right; it raises
/// if session, user, membership or tenant are not live, so that neither role nor query is reached. Names are qualified:
/// a function may have set a search path for its login, which `reset all` brings back.
///
/// The values are arguments of a function that counts them, since `set_config` returns what it has set: claims and
/// headers would come back with every answer, twice its own size, to be formatted by the server, and encrypted and
/// decrypted under TLS.
fn open_sql(live: bool, zone: bool) -> String {
    let mut items: Vec<String> = SETTINGS
        .iter()
        .enumerate()
        .map(|(i, name)| format!("pg_catalog.set_config('{name}', ${}, true)", i + 1))
        .collect();
    if live {
        items.insert(1, "rowhouse.require_live_session($12, $13, $14, $2)".to_owned());
    }
    if zone {
        items.push(format!("pg_catalog.set_config('TimeZone', ${}, true)", if live { 15 } else { 12 }));
    }
    format!("select pg_catalog.num_nonnulls({})", items.join(", "))
}

/// The opening statement of a signed-in caller: its SQL, and its parameters' names in order.
#[must_use]
pub fn opening() -> (Arc<str>, Vec<&'static str>) {
    let names = SETTINGS.iter().chain(&["session", "user", "tenant"]).copied().collect();
    (Arc::clone(&OPEN[1][0]), names)
}

/// Renders the opening statement for one request.
#[must_use]
pub fn open_query(context: &RequestContext<'_>, live_sessions: bool) -> Query {
    let caller = context.caller;
    let (user, tenant) = (caller.user.map(|id| id.0), caller.tenant.map(|id| id.0));
    let mut values = Values::with_room_for(context);
    values.text(context.search_path);
    values.text(&caller.role);
    values.text(&caller.claims);
    values.text(context.method);
    values.text(context.path);
    values.text(context.headers);
    values.text(context.cookies);
    values.id_or_empty(caller.organization.map(|id| id.0));
    values.id_or_empty(user);
    values.id_or_empty(user);
    values.text(if context.access == Access::ReadOnly { "on" } else { "off" });
    let named = caller.session.is_some() || user.is_some() || tenant.is_some();
    let live = named && live_sessions;
    if live {
        [caller.session.map(|id| id.0), user, tenant].into_iter().for_each(|id| values.id_or_null(id));
    }
    if let Some(zone) = context.time_zone {
        values.text(zone);
    }
    let sql = &OPEN[usize::from(live)][usize::from(context.time_zone.is_some())];
    Query { sql: Arc::clone(sql), params: values.finish() }
}

/// Collects values in one buffer, so that a request's context takes one allocation.
struct Values {
    text: String,
    /// The range of each value in `text`; `None` for NULL.
    ranges: Vec<Option<Range<usize>>>,
}

impl Values {
    fn with_room_for(context: &RequestContext<'_>) -> Self {
        let long = [context.headers, &context.caller.claims, context.cookies, context.path];
        let room = long.iter().map(|text| text.len()).sum::<usize>() + 512;
        Self { text: String::with_capacity(room), ranges: Vec::with_capacity(16) }
    }

    fn text(&mut self, text: &str) {
        let start = self.text.len();
        self.text.push_str(text);
        self.ranges.push(Some(start..self.text.len()));
    }

    fn id_or_empty(&mut self, id: Option<Uuid>) {
        let mut buffer = Uuid::encode_buffer();
        self.text(id.map_or("", |id| id.hyphenated().encode_lower(&mut buffer)));
    }

    fn id_or_null(&mut self, id: Option<Uuid>) {
        match id {
            Some(_) => self.id_or_empty(id),
            None => self.ranges.push(None),
        }
    }

    fn finish(self) -> Vec<Option<Bytes>> {
        let text = Bytes::from(self.text);
        self.ranges.into_iter().map(|range| range.map(|range| text.slice(range))).collect()
    }
}
