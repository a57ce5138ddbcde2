//! Letters to users, written into the transaction of what they are about. Leaves composing and delivery to
//! `rowhouse-mail`.

use std::sync::Arc;

use rowhouse_db::Transaction;
use rowhouse_kernel::Secret;
use rowhouse_mail::{Letter, Mailer, NewMail, Variables, read_mailbox};
use serde_json::Value;
use url::Url;

use crate::fault::Fault;
use crate::language;
use crate::model::Object;
use crate::one_time::VerifyType;
use crate::request::Client;

/// Writes letters. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Letters {
    mailer: Mailer,
    /// The front end's URL.
    site_url: Arc<str>,
    /// Where links lead.
    verify_url: Arc<str>,
}

/// The credentials in a letter: of a link, and of the code that does the same.
#[derive(Debug, Clone)]
pub(crate) struct Issued {
    pub(crate) token: Secret,
    pub(crate) code: Secret,
}

/// A letter to be sent.
#[derive(Debug)]
pub(crate) struct NewLetter<'a> {
    pub(crate) letter: Letter,
    pub(crate) to: &'a str,
    /// The account's address.
    pub(crate) email: &'a str,
    /// The address that it is to have.
    pub(crate) new_email: &'a str,
    pub(crate) user_metadata: &'a Object,
    /// `None` in a letter that only tells something.
    pub(crate) issued: Option<&'a Issued>,
    /// What its link verifies.
    pub(crate) link: Option<VerifyType>,
    pub(crate) redirect_to: &'a str,
}

impl Letters {
    pub(crate) fn new(mailer: Mailer, site_url: &str, issuer: &str) -> Self {
        Self { mailer, site_url: site_url.into(), verify_url: format!("{issuer}/verify").into() }
    }

    /// Writes a letter to be delivered after the commit.
    pub(crate) async fn send(
        &self,
        tx: &Transaction<'_>,
        new: &NewLetter<'_>,
        client: &Client,
    ) -> Result<(), Fault> {
        let language = language::chosen(new.user_metadata).or(client.language.as_deref());
        let to = read_mailbox("email", new.to)?;
        let mail = self.mailer.write(new.letter, language, to, &self.variables(new))?;
        let request_id = client.origin.request_id.as_deref().map(str::to_owned);
        self.mailer.send(tx, &NewMail { request_id, ..mail }).await?;
        Ok(())
    }

    fn variables(&self, new: &NewLetter<'_>) -> Variables {
        let text =
            |secret: Option<&Secret>| secret.map(|secret| secret.expose().to_owned()).unwrap_or_default();
        let issued = new.issued;
        let link = issued.zip(new.link).map(|(issued, kind)| self.link(&issued.token, kind, new.redirect_to));
        Variables {
            site_name: String::new(),
            site_url: self.site_url.to_string(),
            confirmation_url: link.unwrap_or_else(|| self.site_url.to_string()),
            token: text(issued.map(|issued| &issued.code)),
            token_hash: text(issued.map(|issued| &issued.token)),
            redirect_to: new.redirect_to.to_owned(),
            email: new.email.to_owned(),
            new_email: new.new_email.to_owned(),
            data: Value::Object(new.user_metadata.clone()),
        }
    }

    /// The link that verifies a token.
    pub(crate) fn link(&self, token: &Secret, kind: VerifyType, redirect_to: &str) -> String {
        let query = [("token", token.expose()), ("type", kind.as_str()), ("redirect_to", redirect_to)];
        Url::parse_with_params(&self.verify_url, query)
            .map_or_else(|_| self.verify_url.to_string(), String::from)
    }
}
