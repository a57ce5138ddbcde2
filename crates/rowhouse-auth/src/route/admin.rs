//! /admin/users, for the holder of the service key.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State, rejection::PathRejection};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::paging::Paging;
use super::user_answer;
use crate::Auth;
use crate::fault::Fault;
use crate::flow::admin::{self, AdminError, Directive};
use crate::model::Object;
use crate::phone::Phone;
use crate::policy::Password;
use crate::refusal::Refusal;
use crate::request::{Administrator, Body, Client, Params, read_object};
use crate::store::user;

pub(super) type UserPath = Result<Path<Uuid>, PathRejection>;

#[derive(Debug, Deserialize)]
pub(super) struct Page {
    page: Option<String>,
    per_page: Option<String>,
    filter: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct DirectiveBody {
    id: Option<String>,
    email: Option<String>,
    email_confirm: Option<bool>,
    phone: Option<String>,
    phone_confirm: Option<bool>,
    password: Option<Password>,
    password_hash: Option<String>,
    user_metadata: Option<Object>,
    app_metadata: Option<Object>,
    role: Option<String>,
    ban_duration: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct DeleteBody {
    #[serde(default)]
    should_soft_delete: bool,
}

pub(super) async fn list(
    State(auth): State<Auth>,
    _: Administrator,
    client: Client,
    Params(page): Params<Page>,
) -> Result<Response, Refusal> {
    let paging = Paging::read(page.page.as_deref(), page.per_page.as_deref())?;
    let (limit, offset) = paging.limit_and_offset();
    let filter = page.filter.unwrap_or_default();
    let part = filter.clone();
    let list = async move |db: &tokio_postgres::Client| user::list(db, &part, limit, offset).await;
    let operation = client.operation("auth.admin_list_users");
    let (users, total): (_, i64) =
        auth.control.statement(&operation, list).await.map_err(|fault: Fault| fault)?;
    let mut response = Json(json!({ "users": users, "aud": rowhouse_kernel::AUTHENTICATED })).into_response();
    paging.describe(response.headers_mut(), "/admin/users", &[("filter", &filter)], total);
    Ok(response)
}

pub(super) async fn create(
    State(auth): State<Auth>,
    _: Administrator,
    client: Client,
    Body(body): Body<DirectiveBody>,
) -> Result<Response, Refusal> {
    Ok(user_answer(admin::create(&auth, &client, body.directive()?).await?))
}

pub(super) async fn get(
    State(auth): State<Auth>,
    _: Administrator,
    client: Client,
    id: UserPath,
) -> Result<Response, Refusal> {
    let id = user_id(id)?;
    let row = auth
        .control
        .statement(&client.operation("auth.admin_get_user"), async move |db| user::find(db, id).await)
        .await?;
    Ok(user_answer(row.ok_or(AdminError::NoSuchUser)?.user))
}

pub(super) async fn put(
    State(auth): State<Auth>,
    _: Administrator,
    client: Client,
    id: UserPath,
    Body(body): Body<DirectiveBody>,
) -> Result<Response, Refusal> {
    Ok(user_answer(admin::update(&auth, &client, user_id(id)?, body.directive()?).await?))
}

/// The body is optional.
pub(super) async fn delete(
    State(auth): State<Auth>,
    _: Administrator,
    client: Client,
    id: UserPath,
    body: Bytes,
) -> Result<Response, Refusal> {
    let id = user_id(id)?;
    let body: DeleteBody = match body.is_empty() {
        true => DeleteBody::default(),
        false => read_object(&body)?,
    };
    admin::delete(&auth, &client, id, body.should_soft_delete).await?;
    Ok(Json(json!({})).into_response())
}

impl From<AdminError> for Refusal {
    fn from(error: AdminError) -> Self {
        match error {
            AdminError::NoSuchUser => Self::new(StatusCode::NOT_FOUND, "user_not_found", error.to_string()),
            AdminError::LastOwner(_) => Self::new(StatusCode::CONFLICT, "last_owner", error.to_string()),
            AdminError::Email(error) => error.into(),
            AdminError::Password(error) => error.into(),
            AdminError::NoAddress
            | AdminError::PasswordAndHash
            | AdminError::UnsupportedHash
            | AdminError::BanDuration => Self::validation(error.to_string()),
            AdminError::Metadata(error) => error.into(),
            AdminError::Write(error) => error.into(),
            AdminError::Fault(fault) => fault.into(),
        }
    }
}

impl DirectiveBody {
    fn directive(self) -> Result<Directive, Refusal> {
        let id = self.id.filter(|id| !id.is_empty()).map(|id| id.parse()).transpose();
        let id = id.map_err(|_| Refusal::validation("ID must conform to the uuid v4 format"))?;
        let phone = self.phone.filter(|phone| !phone.is_empty());
        Ok(Directive {
            phone: phone.map(|phone| Phone::parse(&phone)).transpose()?,
            phone_confirm: self.phone_confirm.unwrap_or(false),
            id,
            email: self.email,
            email_confirm: self.email_confirm.unwrap_or(false),
            password: self.password.filter(|password| !password.expose().is_empty()),
            password_hash: self.password_hash.filter(|hash| !hash.is_empty()),
            user_metadata: self.user_metadata,
            app_metadata: self.app_metadata,
            role: self.role,
            ban_duration: self.ban_duration.filter(|text| !text.is_empty()),
        })
    }
}

pub(super) fn user_id(path: UserPath) -> Result<Uuid, Refusal> {
    let malformed = |_| Refusal::new(StatusCode::NOT_FOUND, "validation_failed", "user_id must be an UUID");
    path.map(|Path(id)| id).map_err(malformed)
}
