//! One-click unsubscribe (RFC 8058): signed links. Leaves the HTTP routes to `route`. A link contains list and
//! address and is valid as long as the secret; nothing is stored for it.

use rowhouse_crypto::SignedText;
use rowhouse_db::DbError;
use rowhouse_kernel::{Secret, TenantId};
use tokio_postgres::Client;

use crate::error::MailError;
use crate::message::{Mailbox, NewMail};

/// Longest list's name, in characters.
const LONGEST_NAME: usize = 63;
/// Purpose of the links' signature.
const PURPOSE: &str = "mail/unsubscribe";

/// Creates and verifies links. An address may be on many lists; each link leaves one.
#[derive(Debug)]
pub struct Lists {
    signed_text: SignedText,
    url: String,
}

/// Who leaves which list; lists are per tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unsubscription {
    pub(crate) list: String,
    pub(crate) address: String,
    pub(crate) tenant: Option<TenantId>,
}

impl Lists {
    /// Links below `public_url`, signed with a key derived from `secret`.
    #[must_use]
    pub fn new(secret: &Secret, public_url: &str) -> Self {
        let url = format!("{}/mail/v1/unsubscribe", public_url.trim_end_matches('/'));
        Self { signed_text: SignedText::new(secret, PURPOSE), url }
    }

    /// Verifies a link's token.
    pub(crate) fn read(&self, token: &str) -> Option<Unsubscription> {
        let text = self.signed_text.read(token)?;
        let mut lines = text.split('\n').map(str::to_owned);
        let (list, address, tenant) = (lines.next()?, lines.next()?, lines.next()?);
        let tenant = match &*tenant {
            "" => None,
            id => Some(TenantId(id.parse().ok()?)),
        };
        Some(Unsubscription { list, address, tenant })
    }

    /// The header pair of a mail to a list, which has one recipient: of two, each could unsubscribe the other.
    pub(crate) fn headers(&self, mail: &NewMail) -> Result<String, MailError> {
        let link = self.link_of(mail)?;
        Ok(format!("List-Unsubscribe: <{link}>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"))
    }

    /// The link of a mail to a list.
    pub(crate) fn link_of(&self, mail: &NewMail) -> Result<String, MailError> {
        let (list, reader) = require_fit(mail)?;
        let tenant = mail.tenant.map(|tenant| tenant.0.to_string()).unwrap_or_default();
        Ok(format!(
            "{}?token={}",
            self.url,
            self.signed_text.sign(&format!("{list}\n{}\n{tenant}", reader.email))
        ))
    }
}

/// Refuses mails that cannot belong to a list; returns list and recipient.
pub(crate) fn require_fit(mail: &NewMail) -> Result<(&str, &Mailbox), MailError> {
    let list = mail.list.as_deref().unwrap_or_default();
    if !is_name(list) {
        let text = format!(
            "list: expected up to {LONGEST_NAME} of a-z, 0-9, _, . and -, the first a letter or digit"
        );
        return Err(MailError::invalid(text));
    }
    let sets_own = |(name, _): &(String, String)| name.to_ascii_lowercase().starts_with("list-unsubscribe");
    if mail.headers.iter().any(sets_own) {
        return Err(MailError::invalid("headers: List-Unsubscribe is set by list"));
    }
    match mail.to.as_slice() {
        [reader] if mail.cc.is_empty() && mail.bcc.is_empty() => Ok((list, reader)),
        _ => Err(MailError::invalid("list: such a mail goes to one address, in `to`")),
    }
}

fn is_name(text: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_.-".contains(&b);
    (1..=LONGEST_NAME).contains(&text.len())
        && text.bytes().all(fits)
        && text.as_bytes()[0].is_ascii_alphanumeric()
}

/// Unsubscribes an address from a list; idempotent.
pub(crate) async fn leave(client: &Client, unsubscription: &Unsubscription) -> Result<(), DbError> {
    let sql = "insert into mail.suppressions (address, reason, list, tenant) values (lower($1), 'unsubscribe', $2, $3) \
               on conflict on constraint suppressions_address_reason_list_tenant_key do nothing";
    client
        .execute(
            sql,
            &[&unsubscription.address, &unsubscription.list, &unsubscription.tenant.map(|tenant| tenant.0)],
        )
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests;
