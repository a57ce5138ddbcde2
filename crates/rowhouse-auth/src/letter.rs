//! Letters to users, written into the transaction of what they are about: by the mailer, or by the project's hook. Leaves
//! composing and delivery to `rowhouse-mail`.

use std::sync::Arc;

use rowhouse_db::Transaction;
use rowhouse_kernel::Secret;
use rowhouse_mail::{Letter, Mailer, NewMail, Variables, read_mailbox};
use serde::Serialize;
use serde_json::{Value, json};
use url::Url;

use crate::fault::Fault;
use crate::hook::{Hook, Hooks};
use crate::language;
use crate::model::User;
use crate::one_time::VerifyType;
use crate::request::Client;

/// Writes letters. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Letters {
    mailer: Mailer,
    hooks: Arc<Hooks>,
    /// Where this surface is reached.
    issuer: Arc<str>,
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

/// What the hook is told, with GoTrue's names.
#[derive(Debug, Default, Serialize)]
struct EmailData<'a> {
    token: &'a str,
    token_hash: &'a str,
    redirect_to: &'a str,
    email_action_type: &'static str,
    site_url: &'a str,
    token_new: &'a str,
    token_hash_new: &'a str,
    old_email: &'a str,
    old_phone: &'a str,
    provider: &'a str,
    factor_type: &'a str,
}

impl<'a> EmailData<'a> {
    fn about(email_action_type: &'static str, site_url: &'a str, redirect_to: &'a str) -> Self {
        Self { email_action_type, site_url, redirect_to, ..Self::default() }
    }
}

/// GoTrue's name of a letter, for the hook.
fn action(letter: Letter) -> &'static str {
    match letter {
        Letter::Confirmation => "signup",
        Letter::MagicLink => "magiclink",
        Letter::AccountExists => "account_exists_notification",
        letter => letter.name(),
    }
}

/// What notifications tell beside the account; empty where it does not apply.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Details<'a> {
    pub(crate) old_email: &'a str,
    pub(crate) old_phone: &'a str,
    pub(crate) provider: &'a str,
    pub(crate) factor_type: &'a str,
}

/// A letter to be sent.
#[derive(Debug)]
pub(crate) struct NewLetter<'a> {
    pub(crate) letter: Letter,
    pub(crate) to: &'a str,
    /// Whom it is about.
    pub(crate) user: &'a User,
    /// `None` in a letter that only tells something.
    pub(crate) issued: Option<&'a Issued>,
    /// What a notification tells.
    pub(crate) details: Details<'a>,
    /// What its link verifies.
    pub(crate) link: Option<VerifyType>,
    pub(crate) redirect_to: &'a str,
}

impl Letters {
    pub(crate) fn new(mailer: Mailer, hooks: &Arc<Hooks>, site_url: &str, issuer: &str) -> Self {
        Self {
            mailer,
            hooks: Arc::clone(hooks),
            issuer: issuer.into(),
            site_url: site_url.into(),
            verify_url: format!("{issuer}/verify").into(),
        }
    }

    /// Whether the project's hook sends them.
    pub(crate) fn leave_by_hook(&self) -> bool {
        self.hooks.has(Hook::SendEmail)
    }

    /// Refuses where letters have no way out: before anything is looked up, so that an address gets the same answer whether
    /// it is known or not.
    pub(crate) fn require_way(&self) -> Result<(), Fault> {
        if self.mailer.is_off() && !self.leave_by_hook() { Err(Fault::NoMail) } else { Ok(()) }
    }

    /// Writes a letter to be delivered after the commit.
    pub(crate) async fn send(
        &self,
        tx: &Transaction<'_>,
        new: &NewLetter<'_>,
        client: &Client,
    ) -> Result<(), Fault> {
        if self.leave_by_hook() {
            return self.tell_hook(tx, new, client).await;
        }
        self.require_way()?;
        let language = language::chosen(&new.user.user_metadata).or(client.language.as_deref());
        let to = read_mailbox("email", new.to)?;
        let mail = self.mailer.write(new.letter, language, to, &self.variables(new))?;
        let request_id = client.origin.request_id.as_deref().map(str::to_owned);
        self.mailer.send(tx, &NewMail { request_id, ..mail }).await?;
        Ok(())
    }

    async fn tell_hook(
        &self,
        tx: &Transaction<'_>,
        new: &NewLetter<'_>,
        client: &Client,
    ) -> Result<(), Fault> {
        let action = action(new.letter);
        let data = match new.issued {
            Some(issued) => self.email_data(action, issued, None, new.redirect_to),
            None => {
                let Details { old_email, old_phone, provider, factor_type } = new.details;
                let base = EmailData::about(action, &self.issuer, new.redirect_to);
                EmailData { old_email, old_phone, provider, factor_type, ..base }
            }
        };
        let event = json!({ "user": new.user, "email_data": data });
        self.hooks.tell(tx, Hook::SendEmail, event, client).await
    }

    /// Tells the hook of a change of the address, both letters at once as GoTrue does: to the new address and, where its
    /// owner has to confirm, too, to the account's own.
    pub(crate) async fn tell_change(
        &self,
        tx: &Transaction<'_>,
        user: &User,
        (new, current): (&Issued, Option<&Issued>),
        redirect_to: &str,
        client: &Client,
    ) -> Result<(), Fault> {
        let data = self.email_data("email_change", new, current, redirect_to);
        let event = json!({ "user": user, "email_data": data });
        self.hooks.tell(tx, Hook::SendEmail, event, client).await
    }

    /// With a letter to the current address, codes and tokens are crossed: `token` is the current address's code and
    /// `token_hash` the new one's token. Hooks for GoTrue rely on it.
    fn email_data<'a>(
        &'a self,
        action: &'static str,
        issued: &'a Issued,
        current: Option<&'a Issued>,
        redirect_to: &'a str,
    ) -> EmailData<'a> {
        let base = EmailData::about(action, &self.issuer, redirect_to);
        let (code, token) = (issued.code.expose(), issued.token.expose());
        match current {
            None => EmailData { token: code, token_hash: token, ..base },
            Some(current) => EmailData {
                token: current.code.expose(),
                token_hash: token,
                token_new: code,
                token_hash_new: current.token.expose(),
                ..base
            },
        }
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
            email: new.user.email.clone(),
            new_email: new.user.new_email.clone(),
            old_email: new.details.old_email.to_owned(),
            provider: new.details.provider.to_owned(),
            factor_type: new.details.factor_type.to_owned(),
            data: Value::Object(new.user.user_metadata.clone()),
        }
    }

    /// The link that verifies a token.
    pub(crate) fn link(&self, token: &Secret, kind: VerifyType, redirect_to: &str) -> String {
        let query = [("token", token.expose()), ("type", kind.as_str()), ("redirect_to", redirect_to)];
        Url::parse_with_params(&self.verify_url, query)
            .map_or_else(|_| self.verify_url.to_string(), String::from)
    }
}
