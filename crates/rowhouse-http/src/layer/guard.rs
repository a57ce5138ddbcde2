//! What refuses or ends a request before or around its route: its host, guessed tokens, the deadline, a panic. Called within
//! `cors`, so that browsers can read these answers, too.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use futures_util::FutureExt;
use http::{Extensions, StatusCode, Version, header};
use rowhouse_crypto::TokenError;
use rowhouse_db::DbError;
use rowhouse_kernel::{Actor, Origin, TenantId};
use tracing::Instrument;

use super::closing::Closing;
use super::{Layers, Line};
use crate::address::ClientAddress;
use crate::deadline::Deadline;
use crate::dialect::{Dialect, Fault};
use crate::identity::{Identity, PresentedKey, ProvenLive, look_up_session};
use crate::limit::RateReport;
use crate::meter::Meter;

/// The answer of the surfaces, or the refusal.
pub(super) async fn guard(layers: &Layers, mut request: Request, next: Next, line: &Line<'_>) -> Response {
    let dialect = layers.surfaces.dialect(&line.path);
    if !names_one_host(&request) {
        return dialect.fault(Fault::Host);
    }
    let limit = layers.surfaces.deadline(&line.path).unwrap_or(layers.request_timeout);
    let deadline = Deadline::new(limit);
    if let Some(refusal) = identify_key(layers, &mut request, &deadline, line).await {
        return refusal;
    }
    let guessed = bad_token(&request).filter(|_| is_token(layers, &request, &line.path));
    if let Some((address, report)) = guessed
        && Box::pin(layers.bad_tokens.check(address, &report)).await.is_err()
    {
        return dialect.fault(Fault::Guessing);
    }
    let metered = metered(layers, &request, &line.path);
    let live = ProvenLive::default();
    if is_api_key(&request) {
        live.note();
    }
    if let Some(refusal) = metered.and_then(|(meter, tenant)| meter.0.refusal(tenant)) {
        match deadline.wait(Box::pin(is_live(layers, request.extensions(), &live)).as_mut()).await {
            Some(Ok(true)) => return refusal.respond(dialect),
            // Who has left learns nothing of the tenant: the route answers that the session is over.
            Some(Ok(false)) => {}
            Some(Err(error)) => return unavailable(line, dialect, "session", &error),
            None => return dialect.fault(Fault::Late),
        }
    }
    request.extensions_mut().insert(deadline.clone());
    request.extensions_mut().insert(live.clone());
    // A span of level ERROR, so that every log line within has the id.
    let span = tracing::error_span!("request", request_id = &*line.id.0);
    // A panic ends one request, not the connection or the process.
    let closing = Closing::of(layers, &request);
    let answer = async {
        match closing {
            None => next.run(request).await,
            // Boxed, since it is rare and large.
            Some(closing) => Box::pin(closing.answer(layers, request, next)).await,
        }
    };
    let answer = pin!(AssertUnwindSafe(answer.instrument(span)).catch_unwind());
    match deadline.wait(answer).await {
        Some(Ok(response)) => {
            count(metered.filter(|_| live.is_proven()), &response);
            response
        }
        Some(Err(_)) => {
            tracing::error!(request_id = &*line.id.0, path = line.path, "a request panicked");
            dialect.fault(Fault::Broken)
        }
        None => dialect.fault(Fault::Late),
    }
}

/// 503: the database did not say whether a caller's `what` is valid.
fn unavailable(line: &Line<'_>, dialect: Dialect, what: &str, error: &DbError) -> Response {
    tracing::warn!(request_id = &*line.id.0, %error, "the {what} of a caller could not be looked up");
    let message = format!("the {what} cannot be looked up; try again");
    dialect.error(StatusCode::SERVICE_UNAVAILABLE, "unavailable", &message)
}

/// [`look_up_key`] for the requests that have one; the refusal if its caller cannot be said. What few requests wait for is boxed
/// here: it would enlarge the future of each.
async fn identify_key(
    layers: &Layers,
    request: &mut Request,
    deadline: &Deadline,
    line: &Line<'_>,
) -> Option<Response> {
    let Some(&Identity::ApiKey(key)) = request.extensions().get() else { return None };
    let dialect = layers.surfaces.dialect(&line.path);
    match deadline.wait(Box::pin(look_up_key(layers, request, key, &line.path)).as_mut()).await {
        Some(Ok(())) => None,
        Some(Err(error)) => Some(unavailable(line, dialect, "API key", &error)),
        None => Some(dialect.fault(Fault::Late)),
    }
}

/// Replaces an API key by its caller, where the surface accepts one. An unknown key becomes a refused token, which is
/// counted like others.
async fn look_up_key(
    layers: &Layers,
    request: &mut Request,
    key: PresentedKey,
    path: &str,
) -> Result<(), DbError> {
    let extensions = request.extensions_mut();
    let Some(origin) = extensions.get::<Origin>().filter(|_| layers.surfaces.accepts_api_keys(path)) else {
        return Ok(());
    };
    let Some(caller) = layers.api_keys.find(key, origin).await? else {
        extensions.insert(Identity::Refused(TokenError::UnknownApiKey));
        return Ok(());
    };
    if let Some(origin) = extensions.get_mut::<Origin>() {
        (origin.actor, origin.tenant) = (Actor::of(&caller), caller.tenant);
    }
    extensions.insert(Identity::Caller(Arc::new(caller)));
    Ok(())
}

/// Whether the caller's token is still true, which is known of an API key already.
async fn is_live(layers: &Layers, extensions: &Extensions, live: &ProvenLive) -> Result<bool, DbError> {
    let caller = extensions.get::<Identity>().and_then(|identity| identity.caller().ok());
    match (caller, extensions.get::<Origin>()) {
        _ if live.is_proven() => Ok(true),
        (Some(caller), Some(origin)) => look_up_session(caller, &layers.control, origin).await,
        _ => Ok(false),
    }
}

/// The key was looked up for this request.
fn is_api_key(request: &Request) -> bool {
    let identity = request.extensions().get::<Identity>();
    identity.is_some_and(|identity| identity.caller().is_ok_and(|caller| caller.api_key.is_some()))
}

/// The tenant that the request is counted for.
fn metered<'l>(layers: &'l Layers, request: &Request, path: &str) -> Option<(&'l Meter, TenantId)> {
    let meter = layers.meter.as_ref()?;
    let caller = request.extensions().get::<Identity>()?.caller().ok()?;
    let tenant = caller.tenant.filter(|_| !caller.is_service() && layers.surfaces.is_metered(path))?;
    Some((meter, tenant))
}

/// Who has left a tenant uses up nothing of it: only now is it known whether the session is live. An answer that was given
/// before anybody asked counts for nobody.
fn count(metered: Option<(&Meter, TenantId)>, response: &Response) {
    let is_refused = matches!(response.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    if let Some((meter, tenant)) = metered.filter(|_| !is_refused) {
        meter.0.count(tenant);
    }
}

/// The address that an invalid token comes from. Valid tokens from there are not limited, since they may be another client's.
fn bad_token(request: &Request) -> Option<(IpAddr, RateReport)> {
    let extensions = request.extensions();
    match extensions.get::<Identity>()? {
        Identity::Caller(_) | Identity::Refused(TokenError::Expired) => None,
        Identity::Refused(_) | Identity::ApiKey(_) => {
            let report = extensions.get::<RateReport>().cloned().unwrap_or_default();
            Some((extensions.get::<ClientAddress>()?.0, report))
        }
    }
}

/// Whether what was refused was meant for a surface as a token.
fn is_token(layers: &Layers, request: &Request, path: &str) -> bool {
    layers.surfaces.contains(path) && !(layers.surfaces.reads_basic(path) && is_basic(request))
}

/// Whether the only `Authorization` is of the scheme `Basic`.
fn is_basic(request: &Request) -> bool {
    let mut values = request.headers().get_all(header::AUTHORIZATION).iter();
    let value = values.next().filter(|_| values.next().is_none()).and_then(|value| value.to_str().ok());
    let scheme = value.and_then(|value| value.trim().split(' ').next());
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("basic"))
}

/// HTTP/1.1 requires exactly one `Host` (RFC 9112 section 3.2); no version may have several.
fn names_one_host(request: &Request) -> bool {
    match request.headers().get_all(header::HOST).iter().count() {
        0 => request.version() != Version::HTTP_11,
        count => count == 1,
    }
}
