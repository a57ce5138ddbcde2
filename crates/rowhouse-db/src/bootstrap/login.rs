//! Login roles: names and passwords from the data plane's URLs, and checks that they can sign in.

use std::time::Duration;

use postgres_protocol::password::scram_sha_256;
use rowhouse_kernel::Secret;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use crate::error::DbError;
use crate::flight::DataPlaneUrls;

/// Timeout of a sign-in.
const SIGN_IN_TIMEOUT: Duration = Duration::from_secs(10);

/// The logins of one database.
#[derive(Debug, Clone)]
pub struct Logins {
    /// `rowhouse`, if its password is to be set.
    pub(super) control: Option<LoginRole>,
    /// Requests of users.
    pub(super) authenticator: LoginRole,
    /// Requests with the service role key.
    pub(super) service: LoginRole,
}

/// One login.
#[derive(Debug, Clone)]
pub(super) struct LoginRole {
    pub(super) name: String,
    password: Secret,
    /// URL of the database that is prepared.
    url: Option<Secret>,
}

impl Logins {
    /// Takes the data plane's logins from its URLs; `control` is the password of `rowhouse`, `None` leaves that login
    /// as it is.
    ///
    /// # Errors
    /// If a URL cannot be read.
    pub fn new(control: Option<Secret>, urls: &DataPlaneUrls) -> Result<Self, DbError> {
        Ok(Self {
            control: control.map(|password| LoginRole { name: "rowhouse".to_owned(), password, url: None }),
            authenticator: LoginRole::from_url(&urls.authenticator)?,
            service: LoginRole::from_url(&urls.service)?,
        })
    }

    /// The names of those of the data plane.
    pub(super) fn of_data_plane(&self) -> [&str; 2] {
        [&self.authenticator.name, &self.service.name]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &LoginRole> {
        self.control.iter().chain([&self.authenticator, &self.service])
    }
}

impl LoginRole {
    fn from_url(url: &Secret) -> Result<Self, DbError> {
        let config = crate::url::read(url)?;
        let password = String::from_utf8_lossy(config.get_password().unwrap_or_default()).into_owned();
        Ok(Self { name: crate::url::login(url)?, password: Secret::new(password), url: Some(url.clone()) })
    }
}

/// Why a login cannot sign in.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The server has another password for it.
    #[error(
        "login {0}: the password given is not the one in force on this server; give that one (another database of the server may use it), or name a login of this database's own with db.{1}_url, or change the password for the whole server: rowhouse migrate passwords --yes"
    )]
    Password(String, &'static str),
    /// The server refuses it for another reason, or is not available.
    #[error("login {login}: {cause}")]
    Refused {
        /// Its name.
        login: String,
        /// What PostgreSQL said.
        cause: DbError,
    },
}

/// Signs in as both logins of the data plane.
///
/// # Errors
/// [`LoginError`] names the login.
pub async fn require_sign_in(urls: &DataPlaneUrls) -> Result<(), LoginError> {
    sign_in(&urls.authenticator, "authenticator").await?;
    sign_in(&urls.service, "authenticator_service").await
}

async fn sign_in(url: &Secret, setting: &'static str) -> Result<(), LoginError> {
    let login = crate::url::login(url).unwrap_or_default();
    let refused = |cause| LoginError::Refused { login: login.clone(), cause };
    let mut target = crate::url::target(url).map_err(refused)?;
    target.config.application_name("rowhouse-command");
    let connected = tokio::time::timeout(SIGN_IN_TIMEOUT, target.connect()).await.map_err(|_| {
        refused(DbError::Unavailable(format!("no answer to the sign-in within {SIGN_IN_TIMEOUT:?}").into()))
    })?;
    match connected {
        Ok(_) => Ok(()),
        Err(error) if is_wrong_password(&error) => Err(LoginError::Password(login, setting)),
        Err(error) => Err(refused(error.into())),
    }
}

fn is_wrong_password(error: &tokio_postgres::Error) -> bool {
    let code = error.code();
    code == Some(&SqlState::INVALID_PASSWORD) || code == Some(&SqlState::INVALID_AUTHORIZATION_SPECIFICATION)
}

/// Names of the logins that exist on the server.
pub(super) async fn present(client: &Client, logins: &Logins) -> Result<Vec<String>, DbError> {
    let names: Vec<&str> = logins.iter().map(|login| login.name.as_str()).collect();
    let rows = client.query("select rolname::text from pg_roles where rolname = any($1)", &[&names]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Refuses existing logins with another password, before anything is changed.
pub(super) async fn require_known_passwords(logins: &Logins, present: &[String]) -> Result<(), LoginError> {
    let settings = ["authenticator", "authenticator_service"];
    for (login, setting) in [&logins.authenticator, &logins.service].into_iter().zip(settings) {
        let Some(url) = login.url.as_ref().filter(|_| present.contains(&login.name)) else { continue };
        match sign_in(url, setting).await {
            Err(error @ LoginError::Password(..)) => return Err(error),
            // CONNECT may be missing until the database is prepared.
            Ok(()) | Err(LoginError::Refused { .. }) => {}
        }
    }
    Ok(())
}

/// Gives the data plane's logins the passwords of the URLs, for the whole server.
///
/// # Errors
/// If the connected role may not.
pub async fn set_passwords(client: &Client, urls: &DataPlaneUrls) -> Result<Vec<String>, DbError> {
    let logins = Logins::new(None, urls)?;
    for login in logins.iter() {
        set_password(client, login).await?;
    }
    Ok(logins.iter().map(|login| login.name.clone()).collect())
}

/// Gives the data plane's logins that exist their passwords and their defaults back. For a server of the project's own: a
/// function that a request calls may change both, since PostgreSQL lets every login alter itself.
///
/// # Errors
/// If the connected role may not.
pub async fn restore_logins(client: &Client, urls: &DataPlaneUrls) -> Result<(), DbError> {
    let logins = Logins::new(None, urls)?;
    let present = present(client, &logins).await?;
    for login in logins.iter().filter(|login| present.contains(&login.name)) {
        set_password(client, login).await?;
        let sql =
            "select pg_catalog.format('alter role %I reset all; alter role %1$I in database %I reset all',
                     $1::text, pg_catalog.current_database())";
        let reset: String = client.query_one(sql, &[&login.name]).await?.get(0);
        client.batch_execute(&reset).await?;
    }
    Ok(())
}

pub(super) async fn set_password(client: &Client, login: &LoginRole) -> Result<(), DbError> {
    // The server gets the verifier, never the password; the verifier's alphabet needs no quoting.
    let verifier = scram_sha_256(login.password.expose().as_bytes());
    let name = login.name.replace('"', "\"\"");
    client.batch_execute(&format!("alter role \"{name}\" password '{verifier}'")).await.map_err(DbError::from)
}
