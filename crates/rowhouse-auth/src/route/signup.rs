//! POST /signup

use std::net::{IpAddr, Ipv4Addr};

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;

use super::phone::{self, Named, SignUpParts};
use super::{session_answer, user_answer};
use crate::Auth;
use crate::flow::anonymous;
use crate::flow::one_time::Return;
use crate::flow::signup::{SignUp, SignUpError, SignedUp, sign_up};
use crate::limit::TooManyRequests;
use crate::model::Object;
use crate::pkce::Challenge;
use crate::policy::Password;
use crate::refusal::Refusal;
use crate::request::{Body, Client, RedirectTo};

#[derive(Debug, Deserialize)]
pub(super) struct SignUpBody {
    email: Option<String>,
    phone: Option<String>,
    password: Option<Password>,
    data: Option<Object>,
    channel: Option<String>,
    code_challenge: Option<String>,
    code_challenge_method: Option<String>,
}

pub(super) async fn post(
    State(auth): State<Auth>,
    client: Client,
    RedirectTo(redirect_to): RedirectTo,
    Body(body): Body<SignUpBody>,
) -> Result<Response, Refusal> {
    auth.signin_limit.check(&client).await?;
    if body.is_anonymous() {
        return sign_up_anonymously(&auth, body, &client).await;
    }
    match body.request(redirect_to)? {
        Asked::Email(request) => match sign_up(&auth, request, &client).await? {
            SignedUp::Session(session) => Ok(session_answer(*session)),
            SignedUp::Unconfirmed(user) => Ok(user_answer(*user)),
        },
        Asked::Phone(parts) => phone::sign_up(&auth, parts, &client).await,
    }
}

/// A sign-up with an address, or with a number.
enum Asked {
    Email(SignUp),
    Phone(SignUpParts),
}

async fn sign_up_anonymously(auth: &Auth, body: SignUpBody, client: &Client) -> Result<Response, Refusal> {
    if !auth.settings.anonymous_users {
        return Err(anonymous_disabled());
    }
    let address = client.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    auth.anonymous_limit.check(address, &client.rates).await.map_err(TooManyRequests::from)?;
    Ok(session_answer(anonymous::sign_up(auth, body.data.unwrap_or_default(), client).await?))
}

impl From<SignUpError> for Refusal {
    fn from(error: SignUpError) -> Self {
        let code = match error {
            SignUpError::Disabled => "signup_disabled",
            SignUpError::UserExists => "user_already_exists",
            SignUpError::Email(error) => return error.into(),
            SignUpError::Password(error) => return error.into(),
            SignUpError::Metadata(error) => return error.into(),
            SignUpError::Letters(error) => return error.into(),
            SignUpError::Code(error) => return error.into(),
            SignUpError::Write(error) => return error.into(),
            SignUpError::Fault(fault) => return fault.into(),
        };
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, error.to_string())
    }
}

/// Sign-up without e-mail and phone.
fn anonymous_disabled() -> Refusal {
    let message = "Anonymous sign-ins are disabled";
    Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "anonymous_provider_disabled", message)
}

impl SignUpBody {
    fn is_anonymous(&self) -> bool {
        [&self.email, &self.phone].into_iter().all(|text| text.as_deref().unwrap_or_default().is_empty())
    }

    fn request(self, redirect_to: String) -> Result<Asked, Refusal> {
        let challenge =
            Challenge::read(self.code_challenge.as_deref(), self.code_challenge_method.as_deref())?;
        let password = self.password.filter(|password| !password.expose().is_empty());
        let no_password = || Refusal::validation("Signup requires a valid password");
        let (data, channel) = (self.data.unwrap_or_default(), self.channel);
        match Named::of(self.email, self.phone) {
            Named::Email(email) => {
                let (password, back) = (password.ok_or_else(no_password)?, Return { challenge, redirect_to });
                Ok(Asked::Email(SignUp { email, password, data, back }))
            }
            Named::Phone(phone) => {
                let (password, has_challenge) = (password.ok_or_else(no_password)?, challenge.is_some());
                Ok(Asked::Phone(SignUpParts { phone, password, data, channel, has_challenge }))
            }
            Named::Both => {
                let message = "Only an email address or phone number should be provided on signup.";
                Err(Refusal::validation(message))
            }
            Named::Nothing => Err(anonymous_disabled()),
        }
    }
}
