//! Discovery documents: OpenID Connect Discovery 1.0 and RFC 8414. They name the issuer and its keys, so that others can
//! verify tokens, and the endpoints of the authorization server while it is switched on.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;
use serde_json::{Value, json};

use super::oauth_dialect::OauthServer;
use crate::Auth;
use crate::oauth::client::{AuthMethod, GrantType};
use crate::oauth_scope::Scope;

/// Claims of access tokens.
const CLAIMS: [&str; 17] = [
    "sub",
    "aud",
    "iss",
    "exp",
    "iat",
    "email",
    "phone",
    "role",
    "aal",
    "amr",
    "session_id",
    "is_anonymous",
    "app_metadata",
    "user_metadata",
    "org_id",
    "tenant_id",
    "tenant_role",
];
/// Those of ID tokens beside the ones of the same name.
const ID_CLAIMS: [&str; 11] = [
    "sid",
    "auth_time",
    "nonce",
    "at_hash",
    "email_verified",
    "phone_number",
    "phone_number_verified",
    "name",
    "picture",
    "preferred_username",
    "updated_at",
];

/// What RFC 8414 requires is there with an authorization server only.
pub(super) async fn server_metadata(auth: State<Auth>, _: OauthServer) -> Response {
    document(auth).await
}

pub(super) async fn document(State(auth): State<Auth>) -> Response {
    let ring = auth.keys.ring();
    let algorithms: BTreeSet<&str> = ring.jwks().keys.iter().map(|key| key.alg.as_str()).collect();
    let is_server = auth.oauth.enabled;
    let claims: Vec<&str> = CLAIMS.iter().chain(ID_CLAIMS.iter().filter(|_| is_server)).copied().collect();
    let mut document = json!({
        "issuer": &*auth.issuer,
        "jwks_uri": format!("{}/.well-known/jwks.json", auth.issuer),
        "response_types_supported": [],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": algorithms,
        "claims_supported": claims,
    });
    if let (true, Value::Object(server), Some(document)) =
        (is_server, of_server(&auth), document.as_object_mut())
    {
        document.extend(server);
    }
    let ten_minutes = [(header::CACHE_CONTROL, "public, max-age=600")];
    (ten_minutes, Json(document)).into_response()
}

fn of_server(auth: &Auth) -> Value {
    let below = |path: &str| format!("{}/oauth/{path}", auth.issuer);
    let methods = [AuthMethod::Basic, AuthMethod::Post, AuthMethod::None].map(AuthMethod::as_str);
    let grants = [GrantType::AuthorizationCode, GrantType::RefreshToken].map(GrantType::as_str);
    let mut server = json!({
        "authorization_endpoint": below("authorize"),
        "token_endpoint": below("token"),
        "userinfo_endpoint": below("userinfo"),
        "end_session_endpoint": below("end_session"),
        "scopes_supported": Scope::ALL.map(Scope::as_str),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": grants,
        "token_endpoint_auth_methods_supported": methods,
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "claims_parameter_supported": false,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
    });
    if auth.oauth.allow_dynamic_registration {
        server["registration_endpoint"] = below("clients/register").into();
    }
    server
}
