//! POST /signup

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;

use super::{session_answer, user_answer};
use crate::flow::signup::{SignUp, SignedUp, sign_up};
use crate::model::Object;
use crate::policy::Password;
use crate::request::{Body, Client};
use crate::{Auth, AuthError};

#[derive(Debug, Deserialize)]
pub(super) struct SignUpBody {
    email: Option<String>,
    phone: Option<String>,
    password: Option<Password>,
    data: Option<Object>,
}

pub(super) async fn post(
    State(auth): State<Auth>,
    client: Client,
    Body(body): Body<SignUpBody>,
) -> Result<Response, AuthError> {
    auth.signin_limit.check(client.address)?;
    match sign_up(&auth, body.request()?, &client).await? {
        SignedUp::Session(session) => Ok(session_answer(*session)),
        SignedUp::Unconfirmed(user) => Ok(user_answer(*user)),
    }
}

impl SignUpBody {
    fn request(self) -> Result<SignUp, AuthError> {
        let named = |text: Option<String>| text.filter(|text| !text.is_empty());
        let email = match (named(self.email), named(self.phone)) {
            (Some(email), _) => email,
            (None, Some(_)) => return Err(AuthError::PhoneDisabled),
            (None, None) => return Err(AuthError::AnonymousDisabled),
        };
        let password = self.password.filter(|password| !password.expose().is_empty());
        let password = password.ok_or(AuthError::Validation("Signup requires a valid password".into()))?;
        Ok(SignUp { email, password, data: self.data.unwrap_or_default() })
    }
}
