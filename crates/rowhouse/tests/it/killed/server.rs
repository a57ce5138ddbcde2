//! The real program on a test's database, reached through a proxy that kills it at a given round trip.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::{Method, RequestBuilder, StatusCode, redirect};
use rowhouse::modules::modules;
use rowhouse_kernel::settings::Settings;
use rowhouse_testkit::{Break, TestDatabase, TripCounter, in_time, until_true};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};
use tokio_postgres::Client;

use crate::program::{Folder, program};

/// Where it is reached, as it believes.
const URL: &str = "http://rowhouse.test";
pub(super) const SECRET: &str = "a key secret of thirty-two characters";
/// Letters and events wait in jobs, since no worker runs.
const SETTINGS: &str = r#"
environment = "development"

[server]
port = 0
public_url = "http://rowhouse.test"

[auth]
site_url = "http://rowhouse.test"

[auth_hooks]
after_user_created = "http://127.0.0.1:9/made"
secret = "a secret of the project's hooks, 32+"

[mail]
transport = "relay"
relay_host = "127.0.0.1"
relay_port = 9
relay_tls = "none"
"#;
/// Each table of the platform with a statement that counts its rows, but those of jobs that get a row for the first of a kind,
/// and those that the sealer of the audit log and the process itself fill in their own time.
const TABLES: &str = "select format('%s.%s', schemaname, tablename), format('select count(*) from %I.%I', schemaname, tablename)
    from pg_tables where schemaname in ('audit', 'auth', 'events', 'jobs', 'mail', 'rowhouse', 'tenancy')
      and tablename not in ('partitions', 'measurement', 'chain', 'unsealed', 'sealer', 'processes', 'usage')";
/// What changes without a row more or less.
const VALUES: [(&str, &str); 2] = [
    ("refreshes", "select coalesce(sum(refresh_token_counter), 0)::bigint from auth.sessions"),
    ("confirmed addresses", "select count(email_confirmed_at) from auth.users"),
];
/// Every connection of a process that was killed has ended, and what it had not committed is undone.
const GONE: &str = "not exists (select from pg_stat_activity where datname = current_database() \
    and backend_type = 'client backend' and pid <> pg_backend_pid())";

/// An answer, read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) location: Option<String>,
    pub(super) body: Value,
}

impl Answer {
    #[track_caller]
    pub(super) fn ok(self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.body);
        self.body
    }
}

/// A running `serve`; killed when dropped.
pub(super) struct Server {
    pub(super) db: TestDatabase,
    pub(super) sql: Client,
    pub(super) counter: TripCounter,
    folder: Folder,
    variables: Vec<(&'static str, String)>,
    child: Child,
    base: String,
    http: reqwest::Client,
    counts: String,
}

impl Server {
    /// On a database of its own, with further settings as variables.
    pub(super) async fn start(more: &[(&'static str, &str)]) -> Self {
        let (counter, db) = (TripCounter::of_requests().await, TestDatabase::create().await);
        let sql = db.superuser().await;
        announce(&db).await;
        let folder = Folder::with_settings(SETTINGS);
        let mut variables = vec![
            ("DATABASE_URL", counter.url("rowhouse", &db.name)),
            ("DATABASE_DIRECT_URL", db.urls.direct.expose().to_owned()),
            ("ROWHOUSE_DB__AUTHENTICATOR_URL", db.urls.data.authenticator.expose().to_owned()),
            ("ROWHOUSE_DB__AUTHENTICATOR_SERVICE_URL", db.urls.data.service.expose().to_owned()),
            ("ROWHOUSE_AUTH__KEY_SECRET", SECRET.to_owned()),
        ];
        variables.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let (child, base) = spawn(&folder, &variables).await;
        let policy = redirect::Policy::none();
        let http = reqwest::Client::builder().redirect(policy).pool_max_idle_per_host(0).build().unwrap();
        let counts = counts(&sql).await;
        Self { db, sql, counter, folder, variables, child, base, http, counts }
    }

    /// A request to the process that runs now.
    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).header("host", "rowhouse.test")
    }

    pub(super) fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.request(Method::POST, &format!("/auth/v1{path}")).json(body)
    }

    pub(super) async fn send(&self, request: RequestBuilder) -> Answer {
        read(request).await.unwrap()
    }

    pub(super) async fn answer(&self, path: &str, body: &Value) -> Answer {
        self.send(self.post(path, body)).await
    }

    /// Sends a request, at whose `ahead`th round trip the process is killed; its answer, if it comes to that.
    pub(super) async fn send_and_kill(
        &mut self,
        (ahead, how): (u64, Break),
        request: RequestBuilder,
    ) -> Option<Answer> {
        self.counter.kill_at(ahead, how, self.pid());
        let answer = in_time("an answer or an end", read(request)).await;
        self.counter.break_none();
        if answer.is_err() {
            self.is_killed().await;
        }
        answer.ok()
    }

    /// kill -9, whatever it is doing.
    pub(super) async fn kill(&mut self) {
        kill(Pid::from_raw(self.pid()), Signal::SIGKILL).unwrap();
        self.is_killed().await;
    }

    async fn is_killed(&mut self) {
        let status: ExitStatus = in_time("the process ends", self.child.wait()).await.unwrap();
        assert_eq!(status.signal(), Some(Signal::SIGKILL as i32), "{status}");
        until_true(&self.sql, GONE).await;
    }

    pub(super) async fn start_again(&mut self) {
        (self.child, self.base) = spawn(&self.folder, &self.variables).await;
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.child.id().unwrap()).unwrap()
    }

    /// How many rows each table has, and other values.
    pub(super) async fn state(&self) -> BTreeMap<String, i64> {
        let rows = self.sql.query(&self.counts, &[]).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    /// A command of the program on the same database, through the proxy.
    pub(super) fn command(&self, args: &[&str], more: &[(&str, &str)]) -> Command {
        let mut command = program(args);
        command.arg("--dir").arg(self.folder.path());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.env("DATABASE_DIRECT_URL", &self.variables[0].1).envs(more.iter().copied());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut command = Command::from(command);
        command.kill_on_drop(true);
        command
    }

    /// The link in the latest letter to an address, below the server's URL.
    pub(super) async fn link(&self, email: &str) -> String {
        let sql = "select convert_from(m.mime, 'UTF8') from mail.messages m join mail.recipients r on r.message = m.id
            where r.address = $1 order by m.id desc limit 1";
        let mime: String = self.sql.query_one(sql, &[&email]).await.unwrap().get(0);
        let text = mime.replace("=\r\n", "").replace("=3D", "=").replace("&amp;", "&");
        let begin = text.find("http://rowhouse.test/auth/v1/verify?").unwrap();
        let link = text[begin..].split(|c: char| c.is_whitespace() || "\"<".contains(c)).next().unwrap();
        link.strip_prefix(URL).unwrap().to_owned()
    }
}

/// The kinds of jobs, as `migrate up` announces them.
async fn announce(db: &TestDatabase) {
    let client = rowhouse_db::connect(&db.urls.direct).await.unwrap();
    modules().after_platform_migrations(&client, &Settings::default()).await.unwrap();
}

/// What has changed between two states.
pub(super) fn change(before: &BTreeMap<String, i64>, after: &BTreeMap<String, i64>) -> BTreeMap<String, i64> {
    let changes = after.iter().map(|(name, count)| (name.clone(), count - before[name]));
    changes.filter(|(_, change)| *change != 0).collect()
}

/// A parameter of a URL's query or fragment.
pub(super) fn parameter(url: &str, name: &str) -> Option<String> {
    let pairs = url.split(['?', '#', '&']).filter_map(|pair| pair.split_once('='));
    pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
}

async fn read(request: RequestBuilder) -> reqwest::Result<Answer> {
    let response = request.send().await?;
    let location = response.headers().get("location").and_then(|value| value.to_str().ok());
    let (status, location) = (response.status(), location.map(str::to_owned));
    let text = response.text().await?;
    Ok(Answer { status, location, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) })
}

/// One statement for the whole state.
async fn counts(sql: &Client) -> String {
    let tables = sql.query(TABLES, &[]).await.unwrap();
    let tables = tables.iter().map(|row| (row.get(0), row.get(1)));
    let values = VALUES.map(|(name, count)| (name.to_owned(), count.to_owned()));
    let all: Vec<String> = tables
        .chain(values)
        .map(|(name, count): (String, String)| format!("select '{name}', ({count})"))
        .collect();
    all.join(" union all ")
}

/// Returns once it serves; with its URL.
async fn spawn(folder: &Folder, variables: &[(&'static str, String)]) -> (Child, String) {
    let mut command = program(&["serve", "--roles", "api", "--log-format", "json", "--dir"]);
    command.arg(folder.path()).envs(variables.iter().map(|(name, value)| (name, value)));
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = Command::from(command).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let address = in_time("the server starts", address(&mut lines)).await;
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (child, format!("http://{address}"))
}

/// Of the line that says that it serves.
async fn address(lines: &mut Lines<BufReader<ChildStderr>>) -> String {
    let mut seen = Vec::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        let event: Value = serde_json::from_str(&line).unwrap_or_default();
        match (event["message"].as_str(), event["address"].as_str()) {
            (Some("serving"), Some(address)) => return address.to_owned(),
            _ => seen.push(line),
        }
    }
    panic!("it has ended: {seen:#?}")
}
