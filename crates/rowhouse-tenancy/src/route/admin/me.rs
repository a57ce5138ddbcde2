//! `/admin/v1/me`: what a launcher shows of its user; `/admin/v1/permissions`: what can be permitted.

mod described;

use axum::Json;
use axum::extract::{Extension, State};
use rowhouse_http::LiveCaller;
use rowhouse_http::api::routing::get_with;
use rowhouse_http::api::{Problem, Raw, Routes, operation};
use rowhouse_kernel::Origin;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use tokio_postgres::Client;

use self::described::Me;
use super::TenancyAdmin;
use crate::permission::Permission;
use crate::store::me as store;

/// The path `/admin/v1/me`.
pub(crate) fn me() -> Routes<TenancyAdmin> {
    let shown =
        operation("getMe", "What a launcher shows: the caller, where he is a member, what he may use", &[]);
    Routes::default().at("/", get_with(show, shown))
}

/// The path `/admin/v1/permissions`.
pub(crate) fn permissions() -> Routes<TenancyAdmin> {
    Routes::default()
        .at("/", get_with(list, operation("listPermissions", "What roles can be permitted", &[])))
}

async fn show(
    State(tenancy): State<TenancyAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
) -> Result<Json<Raw<Me>>, Problem> {
    let (user, session) = (caller.user.map(|user| user.0), caller.session.map(|session| session.0));
    let find = async move |client: &Client| store::find(client, user, session).await;
    let mut found = tenancy.control.statement(&origin.operation("tenancy.find_me"), find).await?;
    found["impersonation"] = impersonation(&caller.claims);
    found["support_links"] =
        tenancy.settings.links().map(|(title, url)| json!({ "title": title, "url": url })).collect();
    Ok(Json(Raw::new(found)))
}

/// By the claims `act` (RFC 8693 section 4.1) and `impersonation_id`, if an operator acts as the user.
fn impersonation(claims: &str) -> Value {
    let claims: Value = serde_json::from_str(claims).unwrap_or_default();
    let operator = &claims["act"]["sub"];
    if operator.is_string() {
        json!({ "impersonation_id": claims["impersonation_id"], "operator_id": operator })
    } else {
        Value::Null
    }
}

/// What can be permitted.
#[derive(Serialize, JsonSchema)]
struct Permissions {
    items: Vec<Permitted>,
}

/// A permission.
#[derive(Serialize, JsonSchema)]
struct Permitted {
    name: Permission,
    description: &'static str,
}

async fn list(_: LiveCaller) -> Result<Json<Permissions>, Problem> {
    let describe = |name: &Permission| Permitted { name: *name, description: name.description() };
    Ok(Json(Permissions { items: Permission::ALL.iter().map(describe).collect() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_acts_as_the_user_is_read_from_the_claims() {
        let acting = json!({ "sub": "a", "act": { "sub": "b" }, "impersonation_id": "c" }).to_string();
        assert_eq!(impersonation(&acting), json!({ "impersonation_id": "c", "operator_id": "b" }));
        for claims in ["", "{}", r#"{"act": "x"}"#, r#"{"user_metadata": {"act": {"sub": "b"}}}"#] {
            assert_eq!(impersonation(claims), Value::Null, "{claims}");
        }
    }
}
