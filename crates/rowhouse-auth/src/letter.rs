//! Letters to users, written into the transaction of what they are about. Leaves composing and delivery to
//! `rowhouse-mail`.

use std::sync::Arc;

use rowhouse_db::Transaction;
use rowhouse_kernel::Secret;
use rowhouse_mail::{Letter, Mailer, NewMail, Variables, read_mailbox};
use serde_json::Value;
use url::Url;

use crate::fault::Fault;
use crate::model::Object;
use crate::one_time::VerifyType;
use crate::request::Client;

/// Keys of user metadata that may hold the language of a user's letters.
const LANGUAGE_KEYS: [&str; 2] = ["language", "lang"];
/// Longest language tag, in bytes.
const LONGEST_LANGUAGE: usize = 35;

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
    pub(crate) issued: Option<(&'a Issued, VerifyType)>,
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
        let language = language(new.user_metadata).or(client.language.as_deref());
        let to = read_mailbox("email", new.to)?;
        let mail = self.mailer.write(new.letter, language, to, &self.variables(new))?;
        let request_id = client.origin.request_id.as_deref().map(str::to_owned);
        self.mailer.send(tx, &NewMail { request_id, ..mail }).await?;
        Ok(())
    }

    fn variables(&self, new: &NewLetter<'_>) -> Variables {
        let text =
            |secret: Option<&Secret>| secret.map(|secret| secret.expose().to_owned()).unwrap_or_default();
        let issued = new.issued.map(|(issued, _)| issued);
        let link = new.issued.map(|(issued, kind)| self.link(&issued.token, kind, new.redirect_to));
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

/// The language that the user has chosen. It only names a template, so it may come from the user.
fn language(user_metadata: &Object) -> Option<&str> {
    let chosen = LANGUAGE_KEYS.iter().find_map(|key| user_metadata.get(*key)?.as_str());
    chosen.filter(|language| !language.is_empty() && language.len() <= LONGEST_LANGUAGE)
}

/// The language that an Accept-Language header prefers (RFC 9110 section 12.5.4).
pub(crate) fn preferred_language(header: &str) -> Option<String> {
    let weighed = header.split(',').filter_map(|part| {
        let (tag, weight) = part.split_once(';').unwrap_or((part, "q=1"));
        let weight: f32 = weight.trim().strip_prefix("q=")?.parse().ok()?;
        let tag = tag.trim();
        (weight > 0.0 && !tag.is_empty() && tag != "*" && tag.len() <= LONGEST_LANGUAGE)
            .then_some((tag, weight))
    });
    let best = weighed.fold(None, |best: Option<(&str, f32)>, next| match best {
        Some(best) if best.1 >= next.1 => Some(best),
        _ => Some(next),
    });
    best.map(|(tag, _)| tag.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preferred_language_has_the_highest_weight() {
        let preferred = |header: &str| preferred_language(header);
        assert_eq!(preferred("de-AT,de;q=0.9,en;q=0.8").as_deref(), Some("de-AT"));
        assert_eq!(preferred("en;q=0.5, de").as_deref(), Some("de"));
        assert_eq!(preferred("fr;q=0, *;q=0.5"), None);
        assert_eq!(preferred("de;q=much"), None);
        assert_eq!(preferred(""), None);
    }

    #[test]
    fn language_of_the_user_is_a_short_text() {
        let object = |value: Value| value.as_object().cloned().unwrap_or_default();
        assert_eq!(language(&object(serde_json::json!({ "lang": "de" }))), Some("de"));
        assert_eq!(language(&object(serde_json::json!({ "language": 5 }))), None);
        assert_eq!(language(&object(serde_json::json!({ "language": "x".repeat(36) }))), None);
    }
}
