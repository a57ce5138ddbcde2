//! The letter of an invitation, written in the transaction of the invitation. Leaves delivery to `rowhouse-mail`.

use rowhouse_crypto::OpaqueSecret;
use rowhouse_kernel::Caller;
use rowhouse_mail::{Letter, Mailer, NewMail, Variables, plain_name, read_mailbox};
use serde_json::json;
use tokio_postgres::Client;

use super::InvitationError;
use crate::store::invitation::{self as store, Invitation};
use crate::store::organization::Organization;

/// Writes letters. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Letters {
    mailer: Mailer,
    /// The front end's URL.
    site_url: String,
    /// Its page for invitations.
    page: String,
}

impl Letters {
    /// With links to `page`, or to `/invitation` below the front end's URL.
    pub(crate) fn new(mailer: Mailer, site_url: &str, page: Option<&str>) -> Self {
        let below = || {
            format!(
                "{}/invitation",
                site_url.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/')
            )
        };
        Self { mailer, site_url: site_url.to_owned(), page: page.map_or_else(below, str::to_owned) }
    }

    /// Writes the letter with this token.
    pub(super) async fn send(
        &self,
        tx: &Client,
        caller: &Caller,
        organization: &Organization,
        invitation: &Invitation,
        token: &OpaqueSecret,
    ) -> Result<(), InvitationError> {
        let inviter = inviter(tx, caller).await?;
        let variables = Variables {
            site_url: self.site_url.clone(),
            confirmation_url: self.link(token),
            token: token.expose().to_owned(),
            email: invitation.email.clone(),
            data: json!({
                "organization": plain_name(&organization.name),
                "inviter": inviter,
                "role": invitation.role,
                "expires_at": minutes(&invitation.expires_at),
            }),
            ..Variables::default()
        };
        let to = read_mailbox("email", &invitation.email)?;
        let letter = Letter::OrganizationInvite;
        let mail = self.mailer.write(letter, invitation.language.as_deref(), to, &variables)?;
        let idempotency_key = Some(format!("invitation/{}/{}", invitation.id, invitation.resent_count));
        self.mailer.send(tx, &NewMail { idempotency_key, ..mail }).await?;
        Ok(())
    }

    /// The token is the fragment, which browsers send neither to the page's server nor to others as the referrer.
    fn link(&self, token: &OpaqueSecret) -> String {
        format!("{}#token={}", self.page, token.expose())
    }
}

/// Who invites, for people: the name in the profile, else the address; `None` if it is no user.
async fn inviter(tx: &Client, caller: &Caller) -> Result<Option<String>, InvitationError> {
    let Some(user) = caller.user else { return Ok(None) };
    let found = store::find_user(tx, user.0).await?;
    let name = found.map(|user| match user.full_name.as_deref().map(plain_name) {
        Some(name) if !name.is_empty() => name,
        _ => user.email,
    });
    Ok(name.filter(|name| !name.is_empty()))
}

/// `2026-11-28T01:23:45.678Z` to the minute.
fn minutes(time: &str) -> String {
    let minutes = time.get(..16).unwrap_or(time);
    format!("{} UTC", minutes.replace('T', " "))
}

#[cfg(test)]
mod tests {
    use super::minutes;

    #[test]
    fn times_are_shown_to_the_minute() {
        assert_eq!(minutes("2026-11-28T01:23:45.678Z"), "2026-11-28 01:23 UTC");
    }
}
