//! Routes relative to `/auth/v1`. A route parses, calls a flow, and renders the answer.

mod account;
mod admin;
mod discovery;
mod service;
mod session;
mod signup;
mod token;

use axum::extract::DefaultBodyLimit;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use http::{HeaderName, HeaderValue, header};
use uuid::Uuid;

use crate::model::{Session, User};
use crate::refusal::Refusal;
use crate::{Auth, answer, captcha};

/// The identity surface, to be nested under `/auth/v1`.
pub fn router(auth: Auth) -> Router {
    let largest_body = usize::try_from(auth.settings.max_body_bytes).unwrap_or(usize::MAX);
    Router::new()
        .route("/health", get(service::health))
        .route("/settings", get(service::settings))
        .route("/.well-known/jwks.json", get(service::jwks))
        .route("/sso", post(service::sso))
        .route("/.well-known/openid-configuration", get(discovery::document))
        .route("/.well-known/oauth-authorization-server", get(discovery::document))
        .route("/signup", post(signup::post))
        .route("/token", post(token::post))
        .route("/user", get(account::get).put(account::put))
        .route("/tenant", post(account::post_tenant))
        .route("/logout", post(account::post_logout))
        .route("/sessions", get(session::list))
        .route("/sessions/{id}", axum::routing::delete(session::delete))
        .route("/admin/users", get(admin::list).post(admin::create))
        .route("/admin/users/{id}", get(admin::get).put(admin::put).delete(admin::delete))
        .route("/admin/users/{id}/sessions", get(session::admin_list))
        .route("/admin/users/{id}/sessions/{session}", axum::routing::delete(session::admin_delete))
        .fallback(async || Refusal::no_route())
        .method_not_allowed_fallback(async || Refusal::wrong_method())
        .layer(middleware::from_fn_with_state(auth.clone(), captcha::protect))
        .layer(DefaultBodyLimit::max(largest_body))
        .layer(middleware::from_fn(answer::render))
        .with_state(auth)
}

/// The public keys and the discovery documents at the server's root, where clients look for them; RFC 8414 puts the
/// issuer's path behind.
pub fn well_known_router(auth: Auth) -> Router {
    Router::new()
        .route("/.well-known/jwks.json", get(service::jwks))
        .route("/.well-known/openid-configuration", get(discovery::document))
        .route("/.well-known/oauth-authorization-server", get(discovery::document))
        .route("/.well-known/oauth-authorization-server/auth/v1", get(discovery::document))
        .with_state(auth)
}

const USER_ID: HeaderName = HeaderName::from_static("sb-auth-user-id");
const SESSION_ID: HeaderName = HeaderName::from_static("sb-auth-session-id");

/// A session; never to be cached (RFC 6749 section 5.1).
fn session_answer(session: Session) -> Response {
    let (user, id) = (session.user.id, session.session_id);
    let mut response = Json(session).into_response();
    set_log_id(&mut response, USER_ID, user);
    set_log_id(&mut response, SESSION_ID, id);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn user_answer(user: User) -> Response {
    let id = user.id;
    let mut response = Json(user).into_response();
    set_log_id(&mut response, USER_ID, id);
    response
}

fn set_log_id(response: &mut Response, name: HeaderName, id: Uuid) {
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        response.headers_mut().insert(name, value);
    }
}
