//! Routes relative to `/auth/v1`. A route parses, calls a flow, and renders the answer.

mod account;
mod admin;
mod admin_factor;
mod audit;
mod authorize;
mod browser;
mod captcha;
mod custom_provider;
mod discovery;
mod end_session;
mod external;
mod factor;
mod id_token;
mod identity;
mod invite;
mod letter;
mod oauth;
mod oauth_client;
mod oauth_dialect;
mod oauth_grant;
mod oauth_token;
mod page;
mod paging;
mod passkey;
mod phone;
mod recovery_code;
mod redirect;
mod service;
mod session;
mod signup;
mod token;
mod verify;
mod verify_page;

use axum::extract::DefaultBodyLimit;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, patch, post, put};
use axum::{Json, Router, middleware};
use http::{HeaderName, HeaderValue, header};
use uuid::Uuid;

use crate::model::{Session, User};
use crate::refusal::Refusal;
use crate::{Auth, answer};

/// The identity surface, to be nested under `/auth/v1`.
pub fn router(auth: Auth) -> Router {
    let largest_body = usize::try_from(auth.settings.max_body_bytes).unwrap_or(usize::MAX);
    Router::new()
        .route("/health", get(service::health))
        .route("/settings", get(service::settings))
        .route("/.well-known/jwks.json", get(service::jwks))
        .route("/sso", post(service::sso))
        .route("/.well-known/openid-configuration", get(discovery::document))
        .route("/.well-known/oauth-authorization-server", get(discovery::server_metadata))
        .route("/signup", post(signup::post))
        .route("/token", post(token::post))
        .route("/otp", post(letter::sign_in))
        .route("/magiclink", post(letter::magic_link))
        .route("/recover", post(letter::recover))
        .route("/resend", post(letter::resend))
        .route("/reauthenticate", get(letter::reauthenticate))
        .route("/verify", get(verify::get).head(verify::head).post(verify::post))
        .route("/user", get(account::get).put(account::put))
        .route("/tenant", post(account::post_tenant))
        .route("/logout", post(account::post_logout))
        .route("/sessions", get(session::list))
        .route("/sessions/{id}", axum::routing::delete(session::delete))
        .route("/invite", post(invite::post))
        .route("/admin/generate_link", post(invite::post_link))
        .route("/admin/audit", get(audit::list))
        .route("/admin/users", get(admin::list).post(admin::create))
        .route("/admin/users/{id}", get(admin::get).put(admin::put).delete(admin::delete))
        .route("/admin/users/{id}/sessions", get(session::admin_list))
        .route("/admin/users/{id}/sessions/{session}", axum::routing::delete(session::admin_delete))
        .merge(factors())
        .merge(passkeys())
        .merge(oauth_server())
        .route("/authorize", get(authorize::get).post(authorize::post))
        .route("/callback", get(external::callback).post(external::post_callback))
        .route("/user/identities/authorize", get(identity::authorize))
        .route("/user/identities/{id}", delete(identity::delete))
        .route("/admin/custom-providers", get(custom_provider::list).post(custom_provider::create))
        .route(
            "/admin/custom-providers/{identifier}",
            get(custom_provider::get).put(custom_provider::put).delete(custom_provider::delete),
        )
        .fallback(async || Refusal::no_route())
        .method_not_allowed_fallback(async || Refusal::wrong_method())
        .layer(middleware::from_fn_with_state(auth.clone(), captcha::protect))
        .layer(DefaultBodyLimit::max(largest_body))
        .layer(middleware::from_fn(answer::render))
        .with_state(auth)
}

/// Second factors.
fn factors() -> Router<Auth> {
    Router::new()
        .route("/factors", post(factor::enroll))
        .route("/factors/recovery_codes", get(recovery_code::get).post(recovery_code::issue))
        .route("/factors/recovery_codes/verify", post(recovery_code::verify))
        .route("/factors/{id}", delete(factor::unenroll))
        .route("/factors/{id}/challenge", post(factor::challenge))
        .route("/factors/{id}/verify", post(factor::verify))
        .route("/admin/users/{id}/factors", get(admin_factor::list))
        .route("/admin/users/{id}/factors/{factor}", put(admin_factor::put).delete(admin_factor::delete))
}

fn passkeys() -> Router<Auth> {
    Router::new()
        .route("/passkeys", get(passkey::list))
        .route("/passkeys/{id}", patch(passkey::rename).delete(passkey::delete))
        .route("/passkeys/registration/options", post(passkey::begin_registration))
        .route("/passkeys/registration/verify", post(passkey::register))
        .route("/passkeys/authentication/options", post(passkey::begin_signin))
        .route("/passkeys/authentication/verify", post(passkey::sign_in))
        .route("/admin/users/{id}/passkeys", get(passkey::admin_list))
        .route("/admin/users/{id}/passkeys/{passkey}", delete(passkey::admin_delete))
}

/// The authorization server, for applications and the users whom they ask.
fn oauth_server() -> Router<Auth> {
    Router::new()
        .route("/oauth/authorize", get(oauth::authorize))
        .route("/oauth/authorizations/{id}", get(oauth::show))
        .route("/oauth/authorizations/{id}/consent", post(oauth::decide))
        .route("/oauth/end_session", get(end_session::get).head(verify::head).post(end_session::post))
        .route("/oauth/token", post(oauth_token::post))
        .route("/oauth/userinfo", get(oauth_token::user_info).post(oauth_token::user_info))
        .route("/oauth/clients/register", post(oauth_client::register))
        .route("/user/oauth/grants", get(oauth_grant::list).delete(oauth_grant::revoke))
        .route("/admin/oauth/clients", get(oauth_client::list).post(oauth_client::create))
        .route(
            "/admin/oauth/clients/{id}",
            get(oauth_client::get).put(oauth_client::put).delete(oauth_client::delete),
        )
        .route("/admin/oauth/clients/{id}/regenerate_secret", post(oauth_client::regenerate_secret))
}

/// The public keys and the discovery documents at the server's root, where clients look for them; RFC 8414 puts the
/// issuer's path behind.
pub fn well_known_router(auth: Auth) -> Router {
    Router::new()
        .route("/.well-known/jwks.json", get(service::jwks))
        .route("/.well-known/openid-configuration", get(discovery::document))
        .route("/.well-known/oauth-authorization-server", get(discovery::server_metadata))
        .route("/.well-known/oauth-authorization-server/auth/v1", get(discovery::server_metadata))
        .layer(middleware::from_fn(answer::render))
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
