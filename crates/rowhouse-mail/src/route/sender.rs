//! `/mail/v1/senders`: senders that tenants' credentials may use, for holders of a service_role key.

use std::net::SocketAddr;

use axum::Json;
use axum::body::Bytes;
use axum::extract::Query;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use rowhouse_kernel::TenantId;
use serde::Deserialize;
use serde_json::json;

use super::{MailApiError, ServiceRequest};
use crate::error::MailError;
use crate::intake::Draft;
use crate::sender::{self, ProofResult};

/// A tenant's sender.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Named {
    tenant: TenantId,
    name: String,
    /// The code, for an address.
    code: Option<String>,
}

/// Filter of the list.
#[derive(Debug, Deserialize)]
pub(super) struct Whose {
    tenant: Option<TenantId>,
}

fn read(body: &Bytes) -> Result<Named, MailApiError> {
    Ok(serde_json::from_slice(body).map_err(|error| MailError::invalid(error.to_string()))?)
}

pub(super) async fn list(
    ServiceRequest { api, origin }: ServiceRequest,
    Query(whose): Query<Whose>,
) -> Result<Response, MailApiError> {
    let lifetime = api.intake.mailer().sender_proof_lifetime();
    let list =
        async move |client: &tokio_postgres::Client| sender::list(client, whose.tenant, lifetime).await;
    let senders = api.control.statement(&origin.operation("mail.senders"), list).await?;
    Ok(Json(json!({ "senders": senders })).into_response())
}

/// 201 with the record to publish for a domain; to an address a code is sent.
pub(super) async fn ask(
    ServiceRequest { api, origin }: ServiceRequest,
    body: Bytes,
) -> Result<Response, MailApiError> {
    let named = read(&body)?;
    let secret = sender::new_secret(&*api.intake.mailer().rng());
    let asked = async move |tx: &rowhouse_db::Transaction<'_>| {
        sender::ask(tx, named.tenant, named.name.clone(), secret.clone()).await
    };
    let asked = api.control.run_tx(&origin.operation("mail.ask_sender"), asked).await?;
    if let Some(letter) = asked.letter {
        api.intake.accept(Draft::New(Box::new(letter)), origin).await?;
    }
    let record = asked.record.map(|(name, value)| json!({ "name": name, "type": "TXT", "value": value }));
    let document = json!({ "kind": asked.kind, "name": asked.name, "record": record });
    Ok((StatusCode::CREATED, Json(document)).into_response())
}

/// 200 whether or not it is proved: `proved`, and why not.
pub(super) async fn verify(
    ServiceRequest { api, origin }: ServiceRequest,
    body: Bytes,
) -> Result<Response, MailApiError> {
    let named = read(&body)?;
    const MACHINE_S: Option<SocketAddr> = None;
    let Named { tenant, name, code } = named;
    let verdict = sender::verify(api.control.clone(), &origin, tenant, name, code, MACHINE_S).await?;
    let document = match verdict {
        ProofResult::Proved => json!({ "proved": true }),
        ProofResult::NotProved(why) => json!({ "proved": false, "reason": why }),
    };
    Ok(Json(document).into_response())
}

pub(super) async fn remove(
    ServiceRequest { api, origin }: ServiceRequest,
    Query(named): Query<Named>,
) -> Result<Response, MailApiError> {
    let (_, name) = sender::read_name(&named.name)?;
    let remove =
        async move |tx: &rowhouse_db::Transaction<'_>| sender::remove(tx, named.tenant, name.clone()).await;
    let removed = api.control.run_tx(&origin.operation("mail.remove_sender"), remove).await?;
    if removed { Ok(StatusCode::NO_CONTENT.into_response()) } else { Err(MailApiError::Missing) }
}
