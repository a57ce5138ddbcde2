//! Hooks: the project changes claims, refuses sign-ups, passwords and second factors, and sends messages, by functions in the
//! database or signed HTTP calls. Inputs, answers and failures are GoTrue's. Where a hook is called is left to the flows.

pub(crate) mod job;

use std::sync::Arc;

use http::StatusCode;
use rowhouse_crypto::Envelope;
use rowhouse_db::{Control, DbError, Transaction};
use rowhouse_jobs::outbound::{self, Message, Outbound, SendError};
use rowhouse_kernel::{Operation, Secret, SharedClock, SharedRng};
use serde::Serialize;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use crate::fault::{Fault, HookError};
use crate::request::Client;
use crate::settings::{AuthHookSettings, HookTarget};
use crate::store::hook;

/// Most requests of one call of an HTTP hook.
const ATTEMPTS: u32 = 3;
/// SQLSTATE of a statement that took too long.
const CANCELED: &str = "57014";

/// A hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hook {
    CustomAccessToken,
    BeforeUserCreated,
    PasswordVerification,
    MfaVerification,
    SendEmail,
    AfterUserCreated,
    SendSms,
}

impl Hook {
    /// Those that are told what was done.
    const TOLD: [Self; 2] = [Self::SendEmail, Self::AfterUserCreated];

    /// The name in the event's metadata, as GoTrue has it.
    fn name(self) -> &'static str {
        match self {
            Self::CustomAccessToken => "customize-access-token",
            Self::BeforeUserCreated => "before-user-created",
            Self::PasswordVerification => "password-verification",
            Self::MfaVerification => "mfa-verification",
            Self::SendEmail => "send-email",
            Self::AfterUserCreated => "after-user-created",
            Self::SendSms => "send-sms",
        }
    }
}

/// The configured hooks.
#[derive(Debug)]
pub(crate) struct Hooks {
    settings: AuthHookSettings,
    control: Control,
    outbound: Outbound,
    /// Seals events that wait.
    envelope: Arc<Envelope>,
    clock: SharedClock,
    rng: SharedRng,
}

impl Hooks {
    pub(crate) fn new(
        settings: AuthHookSettings,
        control: Control,
        outbound: Outbound,
        envelope: Arc<Envelope>,
        (clock, rng): (SharedClock, SharedRng),
    ) -> Self {
        Self { settings, control, outbound, envelope, clock, rng }
    }

    fn target(&self, hook: Hook) -> Option<HookTarget> {
        let uri = match hook {
            Hook::CustomAccessToken => &self.settings.custom_access_token,
            Hook::BeforeUserCreated => &self.settings.before_user_created,
            Hook::PasswordVerification => &self.settings.password_verification_attempt,
            Hook::MfaVerification => &self.settings.mfa_verification_attempt,
            Hook::SendEmail => &self.settings.send_email,
            Hook::AfterUserCreated => &self.settings.after_user_created,
            Hook::SendSms => &self.settings.send_sms,
        };
        uri.as_deref().and_then(|uri| HookTarget::read(uri).ok())
    }

    /// Whether the project has set this hook.
    pub(crate) fn has(&self, hook: Hook) -> bool {
        self.target(hook).is_some()
    }

    /// Calls a hook with its input, to which `metadata` is added; `None` if it is not set.
    pub(crate) async fn call(
        &self,
        hook: Hook,
        input: impl Serialize,
        client: &Client,
    ) -> Result<Option<Value>, Fault> {
        let Some(target) = self.target(hook) else { return Ok(None) };
        let event = self.event(hook, input, client)?;
        self.invoke(hook, target, event, client).await.map(Some)
    }

    fn event(&self, hook: Hook, input: impl Serialize, client: &Client) -> Result<Value, Fault> {
        let mut event = serde_json::to_value(input).map_err(Fault::Json)?;
        event["metadata"] = self.metadata(hook, client);
        Ok(event)
    }

    /// Calls a hook that has this target; a refusal is an error.
    async fn invoke(
        &self,
        hook: Hook,
        target: HookTarget,
        event: Value,
        client: &Client,
    ) -> Result<Value, Fault> {
        let answer = match target {
            HookTarget::Function(name) => self.call_function(&name, event, client).await,
            HookTarget::Url(url) => self.post(&url, &event, client).await,
        };
        let answer = answer.inspect_err(|error| {
            let error: &dyn std::error::Error = error;
            tracing::warn!(hook = hook.name(), error, "a hook has refused or failed");
        })?;
        Ok(checked(answer)?)
    }

    fn metadata(&self, hook: Hook, client: &Client) -> Value {
        let now: OffsetDateTime = self.clock.now();
        json!({
            "uuid": self.id(),
            "time": now.format(&Rfc3339).unwrap_or_default(),
            "name": hook.name(),
            "ip_address": client.address.map(|address| address.to_string()),
        })
    }

    fn id(&self) -> Uuid {
        rowhouse_kernel::new_id(&*self.clock, &*self.rng)
    }

    async fn call_function(&self, name: &str, event: Value, client: &Client) -> Result<Value, Fault> {
        let limit = self.settings.function_timeout;
        let operation: Operation = client.operation("auth.hook");
        let (name, event) = (name.to_owned(), event);
        let call = async move |tx: &Transaction<'_>| hook::call(tx, &name, &event, limit).await;
        match self.control.run_tx(&operation, call).await {
            Err(Fault::Db(DbError::Refused(error))) if error.code == CANCELED => {
                Err(HookError::Timeout(limit).into())
            }
            Err(Fault::Db(DbError::Refused(error))) => Err(HookError::Broken(error.message.clone()).into()),
            answer => answer,
        }
    }

    /// Repeats while the hook is unreachable, or asks for it with Retry-After.
    async fn post(&self, url: &str, event: &Value, client: &Client) -> Result<Value, Fault> {
        let limit = self.settings.http_timeout;
        let attempts = async {
            for _ in 0..ATTEMPTS {
                if let Some(answer) = self.post_once(url, event, client).await? {
                    return Ok(answer);
                }
            }
            Err(HookError::Unreachable)
        };
        match tokio::time::timeout(limit, attempts).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(HookError::Timeout(limit).into()),
        }
    }

    /// Each repetition has the event's id, by which the receiver can tell that it has seen it.
    async fn post_once(&self, url: &str, event: &Value, client: &Client) -> Result<Option<Value>, HookError> {
        let id = event["metadata"]["uuid"].as_str().unwrap_or_default();
        let nothing = Secret::new("");
        let request_id = client.origin.request_id.as_deref();
        let message = Message {
            url,
            id,
            body: event.to_string().into_bytes(),
            secret: self.settings.secret.as_ref().unwrap_or(&nothing),
            request_id,
            timeout: self.settings.http_timeout,
        };
        match self.outbound.send(message, &*self.clock).await {
            Ok(answer) => read(&answer),
            Err(SendError::NoAnswer(_)) => Ok(None),
            Err(SendError::Address(why)) => Err(HookError::Broken(why)),
        }
    }
}

/// What keeps functions of hooks from being called: each by its setting, with the remedy.
///
/// # Errors
/// If the database cannot be asked.
pub async fn hook_mistakes(
    client: &tokio_postgres::Client,
    settings: &AuthHookSettings,
) -> Result<Vec<String>, DbError> {
    let mut found = Vec::new();
    for (key, uri) in settings.all() {
        if let Some(Ok(HookTarget::Function(name))) = uri.map(HookTarget::read)
            && let Some(mistake) = hook::mistake(client, &name).await?
        {
            found.push(format!("auth_hooks.{key}: {mistake}"));
        }
    }
    Ok(found)
}

/// What keeps the function of another module's hook from being called, with the remedy; nothing where it is a URL.
///
/// # Errors
/// If the database cannot be asked.
pub async fn hook_mistake(
    client: &tokio_postgres::Client,
    target: &HookTarget,
) -> Result<Option<String>, DbError> {
    match target {
        HookTarget::Function(name) => hook::mistake(client, name).await,
        HookTarget::Url(_) => Ok(None),
    }
}

/// `None` asks for a repetition.
fn read(answer: &outbound::OutboundResponse) -> Result<Option<Value>, HookError> {
    let broken = |text: String| Err(HookError::Broken(text));
    match answer.status {
        204 => Ok(Some(Value::Null)),
        200 | 202 if answer.is_cut => Err(HookError::TooLong),
        200 | 202 => match serde_json::from_slice(&answer.body) {
            Ok(value) => Ok(Some(value)),
            Err(_) => broken("Error unmarshaling JSON output.".to_owned()),
        },
        429 | 503 if answer.retry_after.is_some() => Ok(None),
        429 | 503 => broken("Service currently unavailable due to hook".to_owned()),
        400 => broken("Invalid payload sent to hook".to_owned()),
        401 => broken("Hook requires authorization token".to_owned()),
        status => broken(format!("Unexpected status code returned from hook: {status}")),
    }
}

/// An answer that is not an error: `{"error": {"http_code": 403, "message": "…"}}`.
fn checked(answer: Value) -> Result<Value, HookError> {
    let Some(error) = answer.get("error").filter(|error| !error.is_null()) else { return Ok(answer) };
    let message = error["message"].as_str().unwrap_or_default().to_owned();
    let status = error["http_code"].as_u64().and_then(|code| u16::try_from(code).ok());
    let status = status.and_then(|code| StatusCode::from_u16(code).ok()).filter(|code| code.as_u16() >= 400);
    Err(HookError::Refused { status: status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), message })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn arbitrary_answers_of_a_hook_are_read_or_refused(
            status in 100..600_u16, body in ".{0,160}", code in any::<i64>(), message in any::<Option<i8>>(), is_cut in any::<bool>(),
        ) {
            let answer = |body: String| outbound::OutboundResponse { status, retry_after: None, body: body.into_bytes(), is_cut };
            let told = json!({ "error": { "http_code": code, "message": message } }).to_string();
            for body in [body, told.clone()] {
                let read = read(&answer(body));
                let is_success = matches!(status, 200 | 202 | 204);
                prop_assert!(is_success || read.is_err(), "{status}");
                if let Ok(Some(value)) = read
                    && let Err(HookError::Refused { status, .. }) = checked(value)
                {
                    prop_assert!((400..1000).contains(&status.as_u16()), "{status}");
                }
            }
            if status == 200 && !is_cut {
                prop_assert!(read(&answer(told)).is_ok_and(|value| checked(value.unwrap_or_default()).is_err()));
            }
        }
    }

    #[test]
    fn error_of_a_hook_keeps_its_status_unless_that_is_no_error() {
        let refused = |code: Value| match checked(json!({ "error": { "http_code": code, "message": "no" } }))
        {
            Err(HookError::Refused { status, message }) => (status.as_u16(), message),
            other => unreachable!("{other:?}"),
        };
        assert_eq!(refused(json!(403)), (403, "no".to_owned()));
        for wrong in [json!(200), json!(99_999), json!(-1), json!("403"), Value::Null] {
            assert_eq!(refused(wrong).0, 500);
        }
        assert!(checked(json!({ "error": null })).is_ok());
        assert!(checked(Value::Null).is_ok());
    }
}
