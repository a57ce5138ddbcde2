//! The layer that asks for solved captchas. It leaves the body as it was.

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use rowhouse_http::{ClientAddress, Identity};
use rowhouse_kernel::SERVICE_ROLE;

use crate::Auth;
use crate::captcha::CaptchaError;
use crate::refusal::Refusal;
use crate::request::InputError;

/// Routes that are protected; of `/token`, sign-ins by password.
const ROUTES: [&str; 7] =
    ["/signup", "/token", "/otp", "/magiclink", "/recover", "/resend", "/passkeys/authentication/options"];

impl From<CaptchaError> for Refusal {
    fn from(error: CaptchaError) -> Self {
        let message = error.to_string();
        match error {
            CaptchaError::NoToken | CaptchaError::Refused(_) => {
                Self::new(StatusCode::BAD_REQUEST, "captcha_failed", message)
            }
            CaptchaError::Failed(_) => {
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "unexpected_failure", message).because(error)
            }
        }
    }
}

/// The layer. The service key passes: it acts for the operator.
pub(crate) async fn protect(State(auth): State<Auth>, request: Request, next: Next) -> Response {
    let Some(captcha) = auth.captcha.as_deref().filter(|_| is_protected(&request)) else {
        return next.run(request).await;
    };
    let (parts, body) = request.into_parts();
    let most = usize::try_from(auth.settings.max_body_bytes).unwrap_or(usize::MAX);
    let Ok(body): Result<Bytes, _> = to_bytes(body, most).await else {
        return Refusal::from(InputError::TooLarge).into_response();
    };
    let address = parts.extensions.get::<ClientAddress>().map(|address| address.0);
    match captcha.require(&body, address).await {
        Ok(()) => next.run(Request::from_parts(parts, Body::from(body))).await,
        Err(error) => Refusal::from(error).into_response(),
    }
}

fn is_protected(request: &Request) -> bool {
    let path = request.uri().path();
    let by_password = || {
        let query = request.uri().query().unwrap_or_default();
        url::form_urlencoded::parse(query.as_bytes())
            .any(|pair| pair == ("grant_type".into(), "password".into()))
    };
    let identity = request.extensions().get::<Identity>().and_then(|identity| identity.caller().ok());
    let is_service = identity.is_some_and(|caller| caller.user.is_none() && &*caller.role == SERVICE_ROLE);
    request.method() == http::Method::POST
        && !is_service
        && ROUTES.contains(&path)
        && (path != "/token" || by_password())
}
