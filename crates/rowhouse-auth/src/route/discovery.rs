//! Discovery documents: OpenID Connect Discovery 1.0 and RFC 8414. They name the issuer and its keys, so that others can
//! verify tokens; endpoints of an authorization server are named once there is one.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;
use serde_json::json;

use crate::Auth;

pub(super) async fn document(State(auth): State<Auth>) -> Response {
    let ring = auth.keys.ring();
    let algorithms: BTreeSet<&str> = ring.jwks().keys.iter().map(|key| key.alg.as_str()).collect();
    let document = json!({
        "issuer": &*auth.issuer,
        "jwks_uri": format!("{}/.well-known/jwks.json", auth.issuer),
        "response_types_supported": [],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": algorithms,
        "claims_supported": [
            "sub", "aud", "iss", "exp", "iat", "email", "phone", "role", "aal", "amr", "session_id", "is_anonymous",
            "app_metadata", "user_metadata", "org_id", "tenant_id", "tenant_role",
        ],
    });
    let ten_minutes = [(header::CACHE_CONTROL, "public, max-age=600")];
    (ten_minutes, Json(document)).into_response()
}
