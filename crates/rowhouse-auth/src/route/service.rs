//! Public routes: health, settings, public keys.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use rowhouse_kernel::settings::Setting;
use serde_json::{Value, json};

use crate::Auth;
use crate::provider::KNOWN;
use crate::refusal::Refusal;

/// GET /health. GoTrue's Go client accepts no other name.
pub(super) async fn health() -> Json<Value> {
    Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "name": "GoTrue",
        "description": "Rowhouse's identity, in the shapes of GoTrue, a user registration and authentication API",
    }))
}

/// GET /settings
pub(super) async fn settings(State(auth): State<Auth>) -> Json<Value> {
    let mut external: serde_json::Map<String, Value> =
        KNOWN.iter().map(|provider| ((*provider).to_owned(), Value::Bool(false))).collect();
    for (name, provider) in auth.settings.external.iter() {
        external.insert(name.to_owned(), Value::Bool(provider.enabled));
    }
    external.insert("email".to_owned(), Value::Bool(true));
    external.insert("phone".to_owned(), Value::Bool(auth.sms.settings.enabled));
    external.insert("anonymous_users".to_owned(), Value::Bool(auth.settings.anonymous_users));
    Json(json!({
        "external": external,
        "disable_signup": auth.settings.disable_signup,
        "mailer_autoconfirm": auth.settings.mailer_autoconfirm,
        "phone_autoconfirm": auth.sms.settings.autoconfirm,
        "sms_provider": if auth.sms.settings.enabled { auth.sms.settings.provider.show() } else { String::new() },
        "saml_enabled": false,
        "saml_private_key_next_configured": false,
        "passkeys_enabled": auth.mfa.passkeys_enabled,
    }))
}

/// POST /sso
pub(super) async fn sso() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "saml_provider_disabled", "SAML 2.0 is disabled")
}

/// GET /.well-known/jwks.json
pub(super) async fn jwks(State(auth): State<Auth>) -> Response {
    let ten_minutes = [(header::CACHE_CONTROL, "public, max-age=600")];
    (ten_minutes, Json(auth.keys.ring().jwks())).into_response()
}
