//! `/mail/v1`: sending and status over HTTP, for holders of a service_role key; unsubscribing, for readers.

mod sender;
mod unsubscribe;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequestParts, Path, Request};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use http::StatusCode;
use http::request::Parts;
use rowhouse_db::{Control, DbError};
use rowhouse_http::limit::{RateLimited, RateReport};
use rowhouse_http::{Dialect, Identity, RequestId, ServiceKey, ServiceKeyError};
use rowhouse_kernel::Origin;
use serde_json::json;

use crate::error::MailError;
use crate::history;
use crate::intake::{Draft, Intake};
use crate::limit::MailLimits;
use crate::request;
use crate::store::Accepted;
use crate::template::TemplateError;

/// State of the routes.
#[derive(Debug, Clone)]
pub struct MailApi {
    /// Accepts the mails.
    pub intake: Intake,
    /// The database in which they are looked up.
    pub control: Control,
    /// How many a tenant may hand in.
    pub limits: MailLimits,
}

/// The routes below `/mail/v1`.
pub fn router(api: MailApi) -> Router {
    Router::new()
        .route("/send", post(send))
        .route("/messages/{id}", get(message))
        .route("/senders", get(sender::list).post(sender::ask).delete(sender::remove))
        .route("/senders/verify", post(sender::verify))
        .route("/unsubscribe", get(unsubscribe::ask).post(unsubscribe::post))
        .with_state(Arc::new(api))
}

enum MailApiError {
    /// No token, or an invalid one (401).
    Stranger,
    /// A token without the permission (403).
    NotAllowed,
    Missing,
    Body(&'static str),
    Template(TemplateError),
    Mail(MailError),
    /// The tenant has handed in too many.
    TooMany(RateLimited),
}

impl From<RateLimited> for MailApiError {
    fn from(limited: RateLimited) -> Self {
        Self::TooMany(limited)
    }
}

impl From<MailError> for MailApiError {
    fn from(error: MailError) -> Self {
        Self::Mail(error)
    }
}

impl From<TemplateError> for MailApiError {
    fn from(error: TemplateError) -> Self {
        Self::Template(error)
    }
}

impl From<DbError> for MailApiError {
    fn from(error: DbError) -> Self {
        Self::Mail(MailError::Db(error))
    }
}

impl IntoResponse for MailApiError {
    fn into_response(self) -> Response {
        let (status, code, message) = match self {
            Self::Stranger => {
                (StatusCode::UNAUTHORIZED, "unauthorized", "a service_role key is needed".to_owned())
            }
            Self::NotAllowed => {
                (StatusCode::FORBIDDEN, "forbidden", "a service_role key is needed".to_owned())
            }
            Self::Missing => (StatusCode::NOT_FOUND, "not_found", "no such message".to_owned()),
            Self::Body(message) => (StatusCode::BAD_REQUEST, "invalid_mail", message.to_owned()),
            Self::Template(error) => (StatusCode::BAD_REQUEST, code(&error), error.to_string()),
            Self::Mail(error) => describe(&error),
            Self::TooMany(limited) => (StatusCode::TOO_MANY_REQUESTS, "too_many", limited.to_string()),
        };
        Dialect::PLAIN.error(status, code, &message)
    }
}

fn code(error: &TemplateError) -> &'static str {
    match error {
        TemplateError::Unknown { .. } => "unknown_template",
        TemplateError::Missing { .. } => "missing_value",
        TemplateError::Unfit { .. } => "invalid_data",
    }
}

fn describe(error: &MailError) -> (StatusCode, &'static str, String) {
    match error {
        MailError::Invalid(why) => (StatusCode::BAD_REQUEST, "invalid_mail", why.clone()),
        MailError::NotAllowed(why) => (StatusCode::FORBIDDEN, "forbidden", why.clone()),
        MailError::Revoked => (StatusCode::FORBIDDEN, "forbidden", error.to_string()),
        MailError::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too_large", error.to_string()),
        MailError::Unusable(why) => {
            tracing::error!(why, "mail cannot be sent as configured");
            (
                StatusCode::INTERNAL_SERVER_ERROR,
                "misconfigured",
                "mail cannot be sent as configured".to_owned(),
            )
        }
        MailError::Db(error) => {
            tracing::warn!(%error, "a mail was not stored");
            let message = "the mail was not accepted; try again".to_owned();
            (StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
        }
    }
}

impl From<ServiceKeyError> for MailApiError {
    fn from(error: ServiceKeyError) -> Self {
        match error {
            ServiceKeyError::Db(error) => error.into(),
            ServiceKeyError::NotService => Self::NotAllowed,
            ServiceKeyError::NoToken | ServiceKeyError::BadToken(_) | ServiceKeyError::Ended => {
                Self::Stranger
            }
        }
    }
}

/// Extractor: a request that is authorized by a service_role key.
struct ServiceRequest {
    api: Arc<MailApi>,
    origin: Origin,
}

/// Identity and origin are set by the layer.
impl FromRequestParts<Arc<MailApi>> for ServiceRequest {
    type Rejection = MailApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<MailApi>) -> Result<Self, MailApiError> {
        let identity = parts.extensions.get::<Identity>().ok_or(MailApiError::Stranger)?;
        let origin = parts.extensions.get::<Origin>().ok_or(MailApiError::Stranger)?;
        ServiceKey::require(identity, &api.control, origin).await?;
        Ok(Self { api: Arc::clone(api), origin: origin.clone() })
    }
}

/// 202: the mail is durable, and will reach a final state.
async fn send(
    ServiceRequest { api, origin }: ServiceRequest,
    Extension(request_id): Extension<RequestId>,
    Extension(rates): Extension<RateReport>,
    request: Request,
) -> Result<Response, MailApiError> {
    let body = read(request.into_body(), api.intake.mailer().max_message_bytes()).await?;
    let asked = request::read(&body)?;
    drop(body);
    let mut mail = asked.write(api.intake.mailer())?;
    mail.request_id = Some(request_id.0.to_string());
    api.limits.take_submission(mail.tenant, &rates).await?;
    let accepted = api.intake.accept(Draft::New(Box::new(mail)), origin).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(document(&accepted))).into_response())
}

/// Reads the body; base64 and JSON make it larger than the mail.
async fn read(body: Body, most: u64) -> Result<axum::body::Bytes, MailApiError> {
    const ENVELOPE: u64 = 1024 * 1024;
    let limit = usize::try_from(most.saturating_add(ENVELOPE)).unwrap_or(usize::MAX);
    axum::body::to_bytes(body, limit).await.map_err(|error| {
        let is_large =
            std::error::Error::source(&error).is_some_and(|cause| cause.to_string().contains("length limit"));
        if is_large {
            MailApiError::Mail(MailError::TooLarge { bytes: limit as u64 + 1, most })
        } else {
            MailApiError::Body("the body ended too early")
        }
    })
}

fn document(accepted: &Accepted) -> serde_json::Value {
    let recipient = |(id, address): &(i64, String)| json!({ "id": id, "address": address });
    json!({
        "id": accepted.id,
        "message_id": accepted.message_id,
        "recipients": accepted.recipients.iter().map(recipient).collect::<Vec<_>>(),
        "is_new": accepted.is_new,
    })
}

async fn message(
    ServiceRequest { api, origin }: ServiceRequest,
    Path(id): Path<String>,
) -> Result<Response, MailApiError> {
    let id: i64 = id.parse().map_err(|_| MailApiError::Missing)?;
    let find = async move |client: &tokio_postgres::Client| history::find(client, id).await;
    let found = api.control.statement(&origin.operation("mail.history"), find).await?;
    Ok(axum::Json(found.ok_or(MailApiError::Missing)?).into_response())
}
