//! Brings a database to the state that `up` promises: roles, platform schema, project schema, seed, keys.

use rowhouse_auth::KeyStore;
use rowhouse_db::embedded::{Embedded, Endpoint};
use rowhouse_db::{DataPlaneUrls, DatabaseUrls, Logins, Sharing, apply_default_grants, bootstrap, migrate};
use rowhouse_kernel::settings::Settings;
use serde::{Deserialize, Serialize};

use crate::command::migrate::connect;
use crate::outcome::CannotRun;
use crate::project::Project;
use crate::secrets::Secrets;
use crate::{platform, safety};

/// URLs over the embedded server's unix socket.
pub(super) fn embedded_urls(endpoint: &Endpoint, secrets: &Secrets) -> DatabaseUrls {
    let data = DataPlaneUrls {
        authenticator: endpoint.socket_url("authenticator", &secrets.authenticator),
        service: endpoint.socket_url("authenticator_service", &secrets.authenticator_service),
    };
    DatabaseUrls { control: endpoint.socket_url("rowhouse", &secrets.rowhouse), data }
}

/// What people and their tools connect with.
pub(super) fn superuser_url(
    project: &Project,
    embedded: Option<&Embedded>,
    urls: &DatabaseUrls,
) -> Result<String, CannotRun> {
    let Some(embedded) = embedded else { return Ok(urls.control.expose().to_owned()) };
    let secrets = Secrets::ensure(project, &*crate::command::rng())?;
    Ok(embedded.endpoint.tcp_url("postgres", &secrets.postgres).expose().to_owned())
}

/// Applies what is missing, in order; each step is safe to repeat.
pub(super) async fn database(
    project: &Project,
    settings: &Settings,
    secrets: &Secrets,
    embedded: Option<&Embedded>,
    urls: &DatabaseUrls,
) -> Result<(), CannotRun> {
    let migrations = migrate::read_project(&project.migrations())?;
    let (admin_url, control, sharing) = match embedded {
        Some(embedded) => {
            let url = embedded.endpoint.socket_url("postgres", &secrets.postgres);
            (url, Some(secrets.rowhouse.clone()), Sharing::Accept)
        }
        None => (urls.control.clone(), None, Sharing::Refuse),
    };
    let admin = connect(&admin_url).await?;
    bootstrap(&admin, &Logins::new(control, &urls.data)?, sharing).await?;
    rowhouse_db::require_sign_in(&urls.data).await?;
    let client = connect(&urls.control).await?;
    migrate::apply_platform(&client, &platform::migrations()).await?;
    apply_default_grants(&client, settings.rest.default_grants).await?;
    migrate::create_extensions(&admin, &migrations).await?;
    migrate::apply_project(&client, &migrations).await?;
    rowhouse_tenancy::refresh_references(&client).await?;
    safety::require_powerless_logins(&client, &urls.data).await?;
    if embedded.is_some() {
        migrate::apply_seed(&client, std::fs::read_to_string(project.root().join("seed.sql")).ok()).await?;
    }
    Ok(())
}

const API_KEYS: &str = "keys/api_keys.json";

/// API keys as they were handed out; front ends carry them.
#[derive(Serialize, Deserialize)]
struct ApiKeys {
    kid: String,
    issuer: String,
    anon_key: String,
    service_role_key: String,
}

/// The same keys at every start, until their signing key is rotated or the URL changes.
pub(super) fn api_keys(project: &Project, keys: &KeyStore, url: &str) -> Result<(String, String), CannotRun> {
    let path = project.private(API_KEYS);
    let kid = keys.ring().signing_kid(rowhouse_crypto::Purpose::Api).to_owned();
    let known =
        std::fs::read_to_string(&path).ok().and_then(|text| serde_json::from_str::<ApiKeys>(&text).ok());
    if let Some(known) = known.filter(|known| known.kid == kid && known.issuer == url) {
        return Ok((known.anon_key, known.service_role_key));
    }
    let issue = |role| {
        keys.issue_api_key(role, url, rowhouse_auth::API_KEY_LIFETIME)
            .map_err(|error| CannotRun::because(error.to_string()))
    };
    let fresh = ApiKeys {
        kid,
        issuer: url.to_owned(),
        anon_key: issue("anon")?,
        service_role_key: issue("service_role")?,
    };
    let written = project.write_private(API_KEYS, serde_json::to_string_pretty(&fresh)?.as_bytes());
    written.map_err(|error| CannotRun::because(format!("cannot write {}: {error}", path.display())))?;
    Ok((fresh.anon_key, fresh.service_role_key))
}
