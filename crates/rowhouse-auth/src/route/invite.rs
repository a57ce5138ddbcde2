//! POST /invite and /admin/generate_link, for the holder of the service key.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};

use super::user_answer;
use crate::Auth;
use crate::flow::invite::{self, Generated, LinkError, LinkKind, LinkRequest};
use crate::model::{Object, User};
use crate::policy::Password;
use crate::refusal::Refusal;
use crate::request::{Administrator, Body, Client, RedirectTo};

#[derive(Debug, Deserialize)]
pub(super) struct InviteBody {
    email: Option<String>,
    data: Option<Object>,
}

#[derive(Debug, Deserialize)]
pub(super) struct LinkBody {
    #[serde(rename = "type")]
    kind: Option<String>,
    email: Option<String>,
    new_email: Option<String>,
    password: Option<Password>,
    data: Option<Object>,
    redirect_to: Option<String>,
}

/// The user with the link, as GoTrue has it.
#[derive(Debug, Serialize)]
struct LinkAnswer {
    #[serde(flatten)]
    user: User,
    action_link: String,
    email_otp: String,
    hashed_token: String,
    verification_type: &'static str,
    redirect_to: String,
}

impl From<LinkError> for Refusal {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::NoSuchUser => Self::new(StatusCode::NOT_FOUND, "user_not_found", error.to_string()),
            LinkError::NoPassword | LinkError::NotSecure => Self::validation(error.to_string()),
            LinkError::Email(error) => error.into(),
            LinkError::Password(error) => error.into(),
            LinkError::Metadata(error) => error.into(),
            LinkError::Write(error) => error.into(),
            LinkError::Fault(fault) => fault.into(),
        }
    }
}

pub(super) async fn post(
    State(auth): State<Auth>,
    _: Administrator,
    client: Client,
    RedirectTo(redirect_to): RedirectTo,
    Body(body): Body<InviteBody>,
) -> Result<Response, Refusal> {
    let (email, data) = (body.email.unwrap_or_default(), body.data.unwrap_or_default());
    Ok(user_answer(invite::invite(&auth, &email, data, redirect_to, &client).await?))
}

pub(super) async fn post_link(
    State(auth): State<Auth>,
    _: Administrator,
    client: Client,
    RedirectTo(redirect_to): RedirectTo,
    Body(body): Body<LinkBody>,
) -> Result<Response, Refusal> {
    let kind = body.kind.unwrap_or_default();
    let kind = LinkKind::parse(&kind)
        .ok_or_else(|| Refusal::validation(format!("Invalid email action link type requested: {kind}")))?;
    let asked = body.redirect_to.filter(|target| auth.targets.allows(target));
    let request = LinkRequest {
        kind,
        email: body.email.unwrap_or_default(),
        new_email: body.new_email,
        password: body.password.filter(|password| !password.expose().is_empty()),
        data: body.data.unwrap_or_default(),
        redirect_to: asked.unwrap_or(redirect_to),
    };
    Ok(answer(invite::generate(&auth, request, &client).await?))
}

/// The answer holds a credential: no caching.
fn answer(generated: Generated) -> Response {
    let Generated { user, issued, kind, action_link, redirect_to } = generated;
    let body = LinkAnswer {
        user,
        action_link,
        email_otp: issued.code.expose().to_owned(),
        hashed_token: issued.token.expose().to_owned(),
        verification_type: kind.as_str(),
        redirect_to,
    };
    ([(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], Json(body)).into_response()
}
