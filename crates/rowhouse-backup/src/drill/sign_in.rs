//! A sign-in on the restored copy: our own program is started on it, and a user who was made for the drill signs in and is known by
//! the token, so signing keys, passwords, sessions and the data plane's logins are what they were. No job runs, so nothing is sent.

use std::net::TcpListener;
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
/// Beside the API's port, those of captured mail.
const OFFSETS: [u16; 2] = [3, 4];
const LOG: &str = "drill.log";
const USER: &str = "insert into auth.users (id, email, encrypted_password, email_confirmed_at, raw_app_meta_data) \
    values ($1, $2, $3, now(), '{\"provider\": \"email\", \"providers\": [\"email\"]}')";

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
        let output = std::fs::File::create(&log)?;
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
        command.env_remove("PORT").env_remove("REDIS_URL");
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).kill_on_drop(true);
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

fn last_line(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().next_back().unwrap_or_default().to_owned()
}

/// A port that is free now, with those beside it.
fn free_port() -> Result<u16, CannotRun> {
    for _ in 0..PORT_ATTEMPTS {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let is_free = |offset: u16| {
            port.checked_add(offset).is_some_and(|port| TcpListener::bind(("127.0.0.1", port)).is_ok())
        };
        if OFFSETS.into_iter().all(is_free) {
            return Ok(port);
        }
    }
    Err(CannotRun::because("no port is free on 127.0.0.1"))
}
