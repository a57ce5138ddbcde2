//! The API keys of a development project, kept in a file so that front ends keep working after a restart.

use rowhouse_crypto::Purpose;
use rowhouse_module::{CannotRun, Project};
use serde::{Deserialize, Serialize};

use crate::{API_KEY_LIFETIME, KeyStore};

const NAME: &str = "keys/api_keys.json";

/// API keys as they were handed out; front ends carry them.
#[derive(Serialize, Deserialize)]
pub(crate) struct ApiKeys {
    kid: String,
    issuer: String,
    pub(crate) anon_key: String,
    pub(crate) service_role_key: String,
}

/// The same keys at every start, until their signing key is rotated or the URL changes.
pub(crate) fn ensure(project: &Project, keys: &KeyStore, url: &str) -> Result<ApiKeys, CannotRun> {
    let path = project.private(NAME);
    let kid = keys.ring().signing_kid(Purpose::Api).to_owned();
    let known =
        std::fs::read_to_string(&path).ok().and_then(|text| serde_json::from_str::<ApiKeys>(&text).ok());
    if let Some(known) = known.filter(|known| known.kid == kid && known.issuer == url) {
        return Ok(known);
    }
    let issue = |role| {
        keys.issue_api_key(role, url, API_KEY_LIFETIME).map_err(|error| CannotRun::because(error.to_string()))
    };
    let fresh = ApiKeys {
        kid,
        issuer: url.to_owned(),
        anon_key: issue("anon")?,
        service_role_key: issue("service_role")?,
    };
    let written = project.write_private(NAME, serde_json::to_string_pretty(&fresh)?.as_bytes());
    written.map_err(|error| CannotRun::because(format!("cannot write {}: {error}", path.display())))?;
    Ok(fresh)
}
