//! Commands that change the ring: `keys rotate`, `keys revoke`, `keys issue`.

use rowhouse_crypto::Purpose;
use rowhouse_http::ServerSettings;
use rowhouse_kernel::settings::Settings;
use rowhouse_module::{CannotRun, CommandOutcome, Project, State};
use serde_json::{Value, json};

use super::{ApiRole, failed};
use crate::{ApiKeys, KeyStore, Revoked, Rotated};

/// The keys of a project.
pub(super) struct Keys<'a> {
    pub(super) project: &'a Project,
    pub(super) settings: &'a Settings,
    pub(super) store: &'a KeyStore,
}

/// Arguments of `keys rotate`.
pub(super) struct Rotation {
    pub(super) purpose: Purpose,
    pub(super) revoke: bool,
}

impl Rotation {
    pub(super) fn preview(&self, keys: &KeyStore) -> CommandOutcome {
        let (ring, purpose) = (keys.ring(), self.purpose.as_str());
        let current = ring.signing_kid(self.purpose);
        let fate = if self.revoke { "is refused at once" } else { "stays valid" };
        let text = format!("would retire the {purpose} key {current}; what it signed {fate}");
        CommandOutcome::yes(
            json!({ "purpose": purpose, "would_retire": current, "revoke": self.revoke }),
            text,
        )
    }

    pub(super) async fn run(&self, keys: &Keys<'_>) -> Result<CommandOutcome, CannotRun> {
        let current = keys.store.ring().signing_kid(self.purpose).to_owned();
        let Rotated { signing, revoked } =
            keys.store.rotate(self.purpose, self.revoke).await.map_err(failed)?;
        let purpose = self.purpose.as_str();
        let fate = if self.revoke { "are refused from now on" } else { "stay valid" };
        let text =
            format!("{purpose} tokens are signed with {signing} now; those signed with {current} {fate}");
        let mut document = json!({ "purpose": purpose, "signing": signing, "revoked": revoked });
        if !self.revoke {
            document["verifying"] = current.into();
        }
        keys.with_api_keys(self.purpose, (document, text)).await
    }
}

impl Keys<'_> {
    /// Adds the new API keys to the output if their signing key was rotated.
    async fn with_api_keys(
        &self,
        purpose: Purpose,
        (mut document, text): (Value, String),
    ) -> Result<CommandOutcome, CannotRun> {
        if purpose != Purpose::Api {
            return Ok(CommandOutcome::yes(document, text));
        }
        let fresh = match ApiKeys::renew(self.project, self.store).await? {
            Some(fresh) => fresh,
            None => ApiKeys::issue(self.store, &self.public_url()).await?,
        };
        document["anon_key"] = fresh.anon_key.clone().into();
        document["service_role_key"] = fresh.service_role_key.clone().into();
        let (anon, service) = (fresh.anon_key, fresh.service_role_key);
        let text = format!("{text}\nanon_key          {anon}\nservice_role_key  {service}");
        Ok(CommandOutcome::yes(document, text))
    }

    pub(super) async fn revoke(&self, id: &str) -> Result<CommandOutcome, CannotRun> {
        let revoked = self.store.revoke(id).await.map_err(failed)?;
        let revoked = revoked.ok_or_else(|| CannotRun::because(format!("no key {id} (see `keys list`)")))?;
        match revoked {
            Revoked::ApiKey => self.replace_shown(id).await,
            Revoked::SigningKey(purpose) => {
                let text = format!("everything that {id} signed is refused from now on");
                let document = json!({ "revoked": id, "kind": "key", "purpose": purpose.as_str() });
                Ok(CommandOutcome::yes(document, text))
            }
            Revoked::Signer(purpose) => {
                let signing = self.store.ring().signing_kid(purpose).to_owned();
                let text = format!("everything that {id} signed is refused from now on; {signing} signs now");
                let document =
                    json!({ "revoked": id, "kind": "key", "purpose": purpose.as_str(), "signing": signing });
                self.with_api_keys(purpose, (document, text)).await
            }
        }
    }

    /// If the revoked key is one of those that `up` shows, issues new ones.
    async fn replace_shown(&self, id: &str) -> Result<CommandOutcome, CannotRun> {
        let text = format!("the API key {id} is refused from now on");
        let mut document = json!({ "revoked": id, "kind": "api_key" });
        if let Some(current) = ApiKeys::renew(self.project, self.store).await? {
            document["anon_key"] = current.anon_key.into();
            document["service_role_key"] = current.service_role_key.into();
        }
        Ok(CommandOutcome::yes(document, text))
    }

    pub(super) async fn issue(&self, role: ApiRole, days: u32) -> Result<CommandOutcome, CannotRun> {
        let role = match role {
            ApiRole::Anon => "anon",
            ApiRole::ServiceRole => "service_role",
        };
        let lifetime = time::Duration::days(i64::from(days));
        let key = self.store.issue_api_key(role, &self.public_url(), lifetime).await.map_err(failed)?;
        Ok(CommandOutcome::yes(json!({ "role": role, "expires_in_days": days, "key": key }), key.clone()))
    }

    /// The URL under which users reach the server.
    fn public_url(&self) -> String {
        let running = State::read(self.project).map(|state| state.url);
        running.or_else(|| self.settings.get::<ServerSettings>().public_url.clone()).unwrap_or_default()
    }
}
