//! The project's hook: told of each new tenant, and of each that is rolled back. It is called at least once for each, a function in
//! the transaction that notes that it was, a URL with the same `webhook-id` every time.

use std::sync::Arc;

use rowhouse_auth::HookTarget;
use rowhouse_db::DbError;
use rowhouse_jobs::http_handler::outcome;
use rowhouse_jobs::outbound::{Message, Outbound, SendError};
use rowhouse_kernel::{Secret, SharedClock};
use serde::Serialize;
use serde_json::{Value, json};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::error::StepError;
use crate::settings::ProvisionSettings;
use crate::store::{Bound, Subject};

/// What the hook is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Told {
    /// Make what a new tenant needs.
    Provision,
    /// Remove it again.
    Undo,
}

impl Told {
    const fn name(self) -> &'static str {
        match self {
            Self::Provision => "provision",
            Self::Undo => "undo",
        }
    }
}

/// Calls the hook.
#[derive(Debug, Clone)]
pub struct Hook {
    settings: Arc<ProvisionSettings>,
    outbound: Outbound,
    clock: SharedClock,
}

impl Hook {
    /// As configured.
    #[must_use]
    pub fn new(settings: Arc<ProvisionSettings>, outbound: Outbound, clock: SharedClock) -> Self {
        Self { settings, outbound, clock }
    }

    /// The URL, if it is one; without the hook or with a function none.
    pub(crate) fn url(&self) -> Option<String> {
        match self.settings.target() {
            Some(HookTarget::Url(url)) => Some(url),
            _ => None,
        }
    }

    /// Calls the function in the running transaction, if the hook is one. Whether it is.
    pub(crate) async fn call(&self, tx: &Client, told: Told, subject: &Subject) -> Result<bool, StepError> {
        let Some(HookTarget::Function(name)) = self.settings.target() else { return Ok(false) };
        let milliseconds =
            i64::try_from(self.settings.hook_timeout.as_millis()).unwrap_or(i64::MAX).to_string();
        tx.execute_typed("select set_config('statement_timeout', $1, true)", &[(&milliseconds, Type::TEXT)])
            .await?;
        let sql = "select coalesce(auth.call_hook($1, $2), 'null')";
        let parameters: [Bound<'_>; 2] = [(&name, Type::TEXT), (&event(told, subject), Type::JSONB)];
        let answer = tx.query_typed_one(sql, &parameters).await.map_err(|error| told_by(error.into()))?;
        checked(&answer.try_get(0)?)?;
        Ok(true)
    }

    /// Posts to the URL. 2xx is done, 410 and 422 are permanent failures, everything else is tried again.
    pub(crate) async fn post(&self, url: &str, told: Told, subject: &Subject) -> Result<(), StepError> {
        let nothing = Secret::new("");
        let message = Message {
            url,
            id: &format!("{}_{}", told.name(), subject.id),
            body: event(told, subject).to_string().into_bytes(),
            secret: self.settings.hook_secret.as_ref().unwrap_or(&nothing),
            request_id: None,
            timeout: self.settings.hook_timeout,
        };
        match self.outbound.send(message, &*self.clock).await {
            Ok(answer) => {
                outcome(&answer)?;
                Ok(())
            }
            Err(SendError::Address(why) | SendError::NoAnswer(why)) => Err(StepError::Retry(why)),
        }
    }
}

fn event(told: Told, subject: &Subject) -> Value {
    json!({ "type": told, "tenant": subject })
}

/// What a function has raised is told as it has said it.
fn told_by(error: DbError) -> StepError {
    match error {
        DbError::Refused(refused) => StepError::Retry(format!("the hook's function: {}", refused.message)),
        error => StepError::Db(error),
    }
}

/// `{"error": {"message": "…", "fatal": true}}` refuses; `fatal` ends the run at once.
fn checked(answer: &Value) -> Result<(), StepError> {
    let Some(error) = answer.get("error").filter(|error| !error.is_null()) else { return Ok(()) };
    let message = error["message"].as_str().unwrap_or("no message");
    let message = format!("the hook refuses: {message}");
    if error["fatal"] == Value::Bool(true) {
        Err(StepError::Fatal(message))
    } else {
        Err(StepError::Retry(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_error_in_the_answer_refuses() {
        for fine in [Value::Null, json!({}), json!({ "error": null }), json!("done")] {
            assert!(checked(&fine).is_ok(), "{fine}");
        }
        let refused = |answer: Value| checked(&answer).unwrap_err();
        assert!(
            matches!(refused(json!({ "error": { "message": "no" } })), StepError::Retry(why) if why == "the hook refuses: no")
        );
        assert!(matches!(refused(json!({ "error": { "fatal": true } })), StepError::Fatal(_)));
        assert!(matches!(refused(json!({ "error": "text" })), StepError::Retry(_)));
    }
}
