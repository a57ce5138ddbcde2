//! The SMTP backend: credentials and messages in the database. Leaves the conversation to `session`.

use rowhouse_db::{Control, TransactionError};
use rowhouse_kernel::{Origin, SERVICE_ROLE};

use super::backend::{Backend, Refused, Sender, Unknown};
use super::listener::KeyCheck;
use super::sasl::Claimed;
use crate::credential;
use crate::error::MailError;
use crate::intake::{Draft, Intake};
use crate::message::RawMail;

/// Credentials and messages in the database.
pub(crate) struct DatabaseBackend {
    pub(crate) intake: Intake,
    pub(crate) control: Control,
    pub(crate) is_service_key: KeyCheck,
}

impl Backend for DatabaseBackend {
    async fn check(&self, claimed: Claimed, origin: Origin) -> Result<Option<Sender>, Unknown> {
        if claimed.name == SERVICE_ROLE {
            let is_good = (self.is_service_key)(claimed.secret.clone(), origin).await;
            let sender = Sender { name: claimed.name, tenant: None, key: Some(claimed.secret) };
            return Ok(is_good.then_some(sender));
        }
        let found = credential::check(&self.control, &origin, claimed.name.clone(), claimed.secret).await;
        let found = found.map_err(|error| {
            tracing::warn!(%error, "SMTP credentials cannot be checked");
            Unknown
        })?;
        Ok(found.map(|tenant| Sender { name: claimed.name, tenant, key: None }))
    }

    /// Credentials are checked again in the transaction that stores the mail.
    async fn accept(&self, sender: &Sender, mail: RawMail, origin: Origin) -> Result<i64, Refused> {
        if let Some(key) = &sender.key
            && !(self.is_service_key)(key.clone(), origin.clone()).await
        {
            return Err(Refused::Credential);
        }
        let accepted = self.intake.accept(Draft::Raw(Box::new(mail)), origin).await;
        accepted.map(|accepted| accepted.id).map_err(|error| refusal(&error))
    }
}

fn refusal(error: &MailError) -> Refused {
    match error {
        MailError::Invalid(why) => Refused::Message(why.clone()),
        MailError::NotAllowed(why) => Refused::Sender(why.clone()),
        MailError::Revoked => Refused::Credential,
        MailError::TooLarge { .. } => Refused::TooLarge,
        MailError::Unusable(_) | MailError::Db(_) => {
            // Data exceptions (class 22) will not succeed in a retry either.
            let is_data =
                error.database().and_then(|error| error.code()).is_some_and(|code| code.starts_with("22"));
            tracing::warn!(%error, "a message handed in over SMTP was not stored");
            if is_data {
                Refused::Message("the message cannot be stored".to_owned())
            } else {
                Refused::NotNow
            }
        }
    }
}
