//! A sign-in on the restored copy: our own program is started on it, and a user who was made for the drill signs in and is known by
//! the token, so secrets, passwords, sessions and the data plane's logins are what they were. The copy signs with keys of its own, which
//! the original does not know. No job runs, so nothing is sent.

use std::fs::{File, OpenOptions};
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rowhouse_db::embedded::Temporary;
use rowhouse_kernel::SharedRng;
use rowhouse_module::{CannotRun, Project, State};
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio_postgres::Client;
use uuid::Uuid;

use super::check::{Check, Verdict};
use super::program::{over_copy, own_program};
use crate::base::Details;

const NAME: &str = "sign_in";
/// How long the program may take to be ready, and to end.
const READY_LIMIT: Duration = Duration::from_secs(120);
const END_LIMIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(100);
const REQUEST_LIMIT: Duration = Duration::from_secs(30);
const PORT_ATTEMPTS: u32 = 50;
/// Beside the API's port, that of captured mail.
const CAPTURE_OFFSET: u16 = 4;
const LOG: &str = "drill.log";
const USER: &str = "insert into auth.users (id, email, encrypted_password, email_confirmed_at, raw_app_meta_data) \
    values ($1, $2, $3, now(), '{\"provider\": \"email\", \"providers\": [\"email\"]}')";

/// With them go the API keys that they have signed; `up` makes new ones.
const FORGET_KEYS: &str = "delete from auth.signing_keys";

/// Who signs in.
struct Person {
    id: Uuid,
    email: String,
    password: String,
}

pub(super) async fn sign_in(
    client: &Client,
    (server, details): (&Temporary, &Details),
    project: &Project,
    rng: &SharedRng,
) -> Check {
    let tried = async {
        forget_keys(client).await?;
        let person = person(client, rng).await?;
        let mut program = Program::start(server, details, project)?;
        let answered = async {
            let port = program.ready(project).await?;
            ask(port, &person).await
        };
        let answered = answered.await;
        program.stop().await;
        answered
    };
    tried.await.unwrap_or_else(|error: CannotRun| Check::failed(NAME, &error.to_string()))
}

/// The API keys that `up` shows are signed anew, and known to nobody who could revoke them: they must open this copy alone.
async fn forget_keys(client: &Client) -> Result<(), CannotRun> {
    let forgotten = client.execute(FORGET_KEYS, &[]).await;
    forgotten.map(drop).map_err(|error| {
        CannotRun::because(format!("its signing keys stay: {}", rowhouse_db::DbError::from(error)))
    })
}

/// Made in the database, so that whoever may sign up does not matter.
async fn person(client: &Client, rng: &SharedRng) -> Result<Person, CannotRun> {
    let mut bytes = [0; 32];
    rng.fill(&mut bytes);
    let text = data_encoding::HEXLOWER.encode(&bytes);
    let (name, password) = text.split_at(16);
    let id = Uuid::from_bytes(bytes[..16].try_into().unwrap_or_default());
    let person = Person { id, email: format!("drill-{name}@drill.invalid"), password: password.to_owned() };
    let (rng, secret) = (rng.clone(), person.password.clone());
    let hashed = tokio::task::spawn_blocking(move || rowhouse_crypto::password::hash(&secret, &*rng)).await;
    let hash = hashed
        .map_err(|error| CannotRun::because(error.to_string()))?
        .map_err(|error| CannotRun::because(error.to_string()))?;
    let made = client.execute(USER, &[&person.id, &person.email, &hash]).await;
    made.map_err(|error| {
        CannotRun::because(format!("no user can be made: {}", rowhouse_db::DbError::from(error)))
    })?;
    Ok(person)
}

/// `up` on the copy.
struct Program {
    child: Child,
    log: std::path::PathBuf,
}

impl Program {
    fn start(server: &Temporary, details: &Details, project: &Project) -> Result<Self, CannotRun> {
        let url = |login: &str| server.url(login, &details.database);
        let log = project.root().join(LOG);
        let mut command = Command::new(own_program()?);
        command.args(["up", "--yes", "--host", "127.0.0.1", "--port", &free_port()?.to_string()]);
        command.arg("--dir").arg(project.root());
        // Whatever the project's own settings say: this copy's database for all logins, and no workers.
        let [login, data, service] = ["rowhouse", "authenticator", "authenticator_service"].map(url);
        let urls = [
            ("URL", login.expose()),
            ("DIRECT_URL", login.expose()),
            ("AUTHENTICATOR_URL", data.expose()),
            ("AUTHENTICATOR_SERVICE_URL", service.expose()),
        ];
        over_copy(&mut command, &urls);
        command.env("ROWHOUSE_ENVIRONMENT", "development").env("ROWHOUSE_JOBS__WORKERS", "false");
        // The original's listener, and its intruders.
        command.env("ROWHOUSE_MAIL__SMTP_LISTEN", "127.0.0.1:0").env("ROWHOUSE_RLS__TRIPWIRES", "false");
        command.env_remove("PORT").env_remove("REDIS_URL");
        without_keys(&mut command, private_file(&log)?);
        command.stdin(Stdio::null()).kill_on_drop(true);
        Ok(Self { child: command.spawn()?, log })
    }

    /// The port of its API, once it answers there.
    async fn ready(&mut self, project: &Project) -> Result<u16, CannotRun> {
        let waiting = async {
            loop {
                if let Some(ended) = self.child.try_wait()? {
                    return Err(CannotRun::because(format!(
                        "`rowhouse up` ends with {ended}: {}",
                        last_line(&self.log)
                    )));
                }
                if let Some(state) = State::read(project).filter(|state| Some(state.pid) == self.child.id()) {
                    return Ok(state.port);
                }
                tokio::time::sleep(POLL).await;
            }
        };
        let late = |_| CannotRun::because(format!("`rowhouse up` is not ready within {READY_LIMIT:?}"));
        tokio::time::timeout(READY_LIMIT, waiting).await.map_err(late)?
    }

    async fn stop(mut self) {
        if let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()) {
            let _gone_already = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        // Dropped, it is killed.
        let _late = tokio::time::timeout(END_LIMIT, self.child.wait()).await;
    }
}

async fn ask(port: u16, person: &Person) -> Result<Check, CannotRun> {
    let failed = |error: reqwest::Error| CannotRun::because(error.to_string());
    let client = reqwest::Client::builder().no_proxy().timeout(REQUEST_LIMIT).build().map_err(failed)?;
    let base = format!("http://127.0.0.1:{port}/auth/v1");
    let credentials = json!({ "email": person.email, "password": person.password });
    let signing_in = client.post(format!("{base}/token?grant_type=password")).json(&credentials).send();
    let answer = signing_in.await.map_err(failed)?;
    let status = answer.status();
    let body: Value = answer.json().await.unwrap_or_default();
    if body["error_code"] == "captcha_failed" {
        let why = "the project asks for a captcha, which a drill cannot solve";
        return Ok(Check::new(NAME, Verdict::Unavailable, why));
    }
    let Some(token) = body["access_token"].as_str() else {
        return Ok(Check::failed(NAME, &format!("the sign-in is answered by {status}: {}", body["msg"])));
    };
    let user = client.get(format!("{base}/user")).bearer_auth(token).send().await.map_err(failed)?;
    let status = user.status();
    let user: Value = user.json().await.unwrap_or_default();
    Ok(match user["id"].as_str() == Some(person.id.to_string().as_str()) {
        true => Check::good(NAME, "a user signs in by password, and is known by the token"),
        false => Check::failed(
            NAME,
            &format!("who has signed in is not known by the token: {status}: {}", user["msg"]),
        ),
    })
}

/// With `--json` the API keys stand in the document on standard output, which nobody reads, and not among the lines on standard error.
fn without_keys(command: &mut Command, log: File) {
    command.arg("--json").stdout(Stdio::null()).stderr(log);
}

/// What `up` says of a copy is for this account.
fn private_file(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn last_line(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().next_back().unwrap_or_default().to_owned()
}

/// A port that is free now, with the one for captured mail.
fn free_port() -> Result<u16, CannotRun> {
    for _ in 0..PORT_ATTEMPTS {
        let api = TcpListener::bind("127.0.0.1:0")?;
        let port = api.local_addr()?.port();
        let beside = port.checked_add(CAPTURE_OFFSET);
        if beside.is_some_and(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()) {
            return Ok(port);
        }
    }
    Err(CannotRun::because("no port is free on 127.0.0.1"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use rowhouse_testkit::TestDatabase;

    use super::{Command, forget_keys, private_file, without_keys};

    const KEYS: &str = "insert into auth.signing_keys (kid, purpose, algorithm, status, public_jwk, private_sealed) \
          values ('live', 'api', 'ES256', 'signing', '{}', ''); \
        insert into auth.api_keys (id, kid, role, issued_at, expires_at) \
          values (gen_random_uuid(), 'live', 'service_role', now(), now() + '10 years')";

    #[tokio::test]
    async fn copy_signs_nothing_with_the_keys_of_the_original() {
        let client = TestDatabase::create().await.superuser().await;
        client.batch_execute(KEYS).await.unwrap();
        forget_keys(&client).await.unwrap();
        let left = "select (select count(*) from auth.signing_keys) + (select count(*) from auth.api_keys)";
        assert_eq!(client.query_one(left, &[]).await.unwrap().get::<_, i64>(0), 0);
    }

    #[tokio::test]
    async fn log_has_what_is_said_and_no_document() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("drill.log");
        let mut command = Command::new("sh");
        command.args(["-c", "echo document; echo \"said with $1\" >&2", "up"]);
        without_keys(&mut command, private_file(&log).unwrap());
        assert!(command.status().await.unwrap().success());
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "said with --json\n");
    }

    #[test]
    fn log_is_read_by_this_account_alone_and_replaces_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("drill.log");
        let file = private_file(&log).unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(private_file(&log).is_err());
    }
}
