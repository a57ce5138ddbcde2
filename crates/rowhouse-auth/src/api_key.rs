//! The API keys of a project run by `up`: issued once, since front ends are built with them, and stored in its
//! private folder.

use rowhouse_crypto::Purpose;
use rowhouse_module::{CannotRun, Project, State};
use serde::{Deserialize, Serialize};

use crate::{API_KEY_LIFETIME, KeyStore};

const FILE: &str = "keys/api_keys.json";

/// The issued API keys.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ApiKeys {
    kid: String,
    issuer: String,
    /// The key for browsers.
    pub anon_key: String,
    /// The key that bypasses row-level security.
    pub service_role_key: String,
}

impl ApiKeys {
    /// Issues new ones, signed with the current signing key.
    ///
    /// # Errors
    /// The database's.
    pub async fn issue(keys: &KeyStore, url: &str) -> Result<Self, CannotRun> {
        let issue = async |role| {
            let issued = keys.issue_api_key(role, url, API_KEY_LIFETIME).await;
            issued.map_err(|error| CannotRun::because(error.to_string()))
        };
        Ok(Self {
            kid: keys.ring().signing_kid(Purpose::Api).to_owned(),
            issuer: url.to_owned(),
            anon_key: issue("anon").await?,
            service_role_key: issue("service_role").await?,
        })
    }

    /// The same keys at every start, until one of them is revoked, their signing key is rotated or the URL changes.
    ///
    /// # Errors
    /// The database's, or if they cannot be written.
    pub async fn ensure(project: &Project, keys: &KeyStore, url: &str) -> Result<Self, CannotRun> {
        let ring = keys.ring();
        let now = keys.now();
        let good = |known: &Self| {
            let tokens = [&known.anon_key, &known.service_role_key];
            known.kid == ring.signing_kid(Purpose::Api)
                && known.issuer == url
                && tokens.into_iter().all(|token| ring.verify(token, now).is_ok())
        };
        match Self::read(project).filter(good) {
            Some(known) => Ok(known),
            None => Self::issue(keys, url).await?.write(project),
        }
    }

    /// Replaces the keys that a project run by `up` shows. `None` if `up` does not run it.
    ///
    /// # Errors
    /// The database's, or if they cannot be written.
    pub async fn renew(project: &Project, keys: &KeyStore) -> Result<Option<Self>, CannotRun> {
        let Some(known) = Self::read(project) else { return Ok(None) };
        let current = Self::ensure(project, keys, &known.issuer).await?;
        if let Some(mut state) = State::read(project) {
            let fresh = [("anon_key", &current.anon_key), ("service_role_key", &current.service_role_key)];
            state.facts.extend(fresh.map(|(name, key)| (name.to_owned(), key.clone().into())));
            state.write(project)?;
        }
        Ok(Some(current))
    }

    fn read(project: &Project) -> Option<Self> {
        serde_json::from_str(&std::fs::read_to_string(project.private(FILE)).ok()?).ok()
    }

    fn write(self, project: &Project) -> Result<Self, CannotRun> {
        let written = project.write_private(FILE, serde_json::to_string_pretty(&self)?.as_bytes());
        written.map_err(|error| {
            CannotRun::because(format!("cannot write {}: {error}", project.private(FILE).display()))
        })?;
        Ok(self)
    }
}
