//! The block of commands under "Running in production" in docs/operations.md starts as it is written.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rowhouse_kernel::Secret;
use rowhouse_testkit::{Cluster, LIMIT, until};
use serde_json::{Value, json};

use crate::program::{Folder, free_port, program};

const PAGE: &str = include_str!("../../../../docs/operations.md");
/// Longest wait for a line of the log: migrations and the pauses between attempts.
const LINE_TIMEOUT: Duration = Duration::from_secs(60);

/// The variables that the block exports, with values of this machine for those that are placeholders.
fn variables(folder: &Folder, url: &str, password: &str) -> Vec<(String, String)> {
    let section = PAGE.split("## Running in production").nth(1).unwrap();
    let block = section.split("```").nth(1).unwrap();
    let exports = block.lines().filter_map(|line| line.strip_prefix("export ")?.split_once('='));
    exports
        .map(|(name, value)| {
            let value = match name {
                "DATABASE_URL" => url.to_owned(),
                _ if name.ends_with("_FILE") => {
                    let path = folder.path().join(name);
                    std::fs::write(&path, format!("{name}-{password}-0123456789-0123456789\n")).unwrap();
                    path.display().to_string()
                }
                _ => value.to_owned(),
            };
            (name.to_owned(), value)
        })
        .collect()
}

fn command(folder: &Folder, variables: &[(String, String)], args: &[&str]) -> Command {
    let mut command = program(args);
    command.arg("--dir").arg(folder.path()).envs(variables.iter().map(|(name, value)| (name, value)));
    command
}

struct Serving(Child, std::sync::mpsc::Receiver<String>);

impl Serving {
    fn start(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let (lines, log) = std::sync::mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            stderr.lines().map_while(Result::ok).for_each(|line| drop(lines.send(line)));
        });
        Self(child, log)
    }

    fn says(&self, part: &str) {
        let mut seen = Vec::new();
        let begun = Instant::now();
        while !seen.last().is_some_and(|line: &String| line.contains(part)) {
            let line = self.1.recv_timeout(LINE_TIMEOUT.saturating_sub(begun.elapsed()));
            seen.push(line.unwrap_or_else(|_| panic!("not said: {part}: {seen:#?}")));
        }
    }

    fn stop(mut self) -> Option<i32> {
        kill(Pid::from_raw(i32::try_from(self.0.id()).unwrap()), Signal::SIGTERM).unwrap();
        self.0.wait().unwrap().code()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
    }
}

#[tokio::test]
async fn documented_block_starts_and_waits_for_its_database_when_asked() {
    let cluster = tokio::task::spawn_blocking(Cluster::start).await.unwrap();
    let admin = rowhouse_db::connect(&Secret::new(cluster.url("postgres", "postgres"))).await.unwrap();
    admin.batch_execute("create database app").await.unwrap();
    let login = cluster.url("rowhouse", "app");
    let password = login.split(':').nth(2).and_then(|rest| rest.split('@').next()).unwrap().to_owned();
    let folder = Folder::with_settings("");
    let port = free_port().to_string();
    let mut variables = variables(&folder, &login, &password);
    variables.push(("ROWHOUSE_SERVER__PORT".to_owned(), port));

    let refused = command(&folder, &variables, &["serve"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2), "without --retry: {refused:?}");

    let serving = Serving::start(command(&folder, &variables, &["serve", "--retry", "--log-format", "text"]));
    serving.says("trying again in 1s");
    let mut as_admin = variables.clone();
    as_admin[0].1 = cluster.url("postgres", "app");
    let prepared = command(&folder, &as_admin, &["migrate", "up"]).output().unwrap();
    assert_eq!(prepared.status.code(), Some(0), "{prepared:?}");
    admin.batch_execute(&format!("alter role rowhouse login password '{password}'")).await.unwrap();
    serving.says("serving");
    let used = |name| used_by_running(&folder, &variables, name);
    assert_eq!(used("db.url"), [json!({ "pid": serving.0.id(), "value": "********" })]);
    assert_eq!(used("rest.schemas"), [json!({ "pid": serving.0.id(), "value": "public" })]);
    serve_is_seen_by_other_commands(&folder, &variables, serving.0.id());
    assert_eq!(serving.stop(), Some(0));
    assert_eq!(used("rest.schemas"), [] as [Value; 0]);
    let status = command(&folder, &variables, &["status"]).output().unwrap();
    assert_eq!(status.status.code(), Some(1), "{status:?}");
}

fn serve_is_seen_by_other_commands(folder: &Folder, variables: &[(String, String)], pid: u32) {
    let run = |args: &[&str]| command(folder, variables, args).output().unwrap();
    let port = &variables.iter().find(|(name, _)| name == "ROWHOUSE_SERVER__PORT").unwrap().1;
    let url = format!("http://127.0.0.1:{port}");
    let status = run(&["status", "--json"]);
    let document: Value = serde_json::from_slice(&status.stdout).unwrap();
    let process = json!({ "ready": true, "url": url, "pid": pid });
    assert_eq!((status.status.code(), &document["serve"]), (Some(0), &json!([process])), "{status:?}");
    let doctor: Value = serde_json::from_slice(&run(&["doctor", "--json"]).stdout).unwrap();
    let checks = doctor["checks"].as_array().unwrap();
    let server = checks.iter().find(|check| check["name"] == "server").unwrap();
    assert_eq!(
        server,
        &json!({ "name": "server", "ok": true, "detail": format!("ready: {url} (serve, pid {pid})") })
    );
    let keys = String::from_utf8(run(&["keys", "list"]).stdout).unwrap();
    assert!(keys.contains("rowhouse keys issue --role anon"), "{keys}");
}

/// What `config explain` says of running processes, where the configuration has changed since their start.
fn used_by_running(folder: &Folder, variables: &[(String, String)], name: &str) -> Vec<Value> {
    let mut explain = command(folder, variables, &["config", "explain", "--json"]);
    let explained = explain.env("ROWHOUSE_REST__SCHEMAS", "later").output().unwrap();
    let document: Value = serde_json::from_slice(&explained.stdout).unwrap();
    let rows = document["settings"].as_array().unwrap();
    let row = rows.iter().find(|row| row["name"] == name).unwrap();
    assert_eq!(row["value"], if name == "rest.schemas" { "later" } else { "********" });
    row["running"].as_array().unwrap().clone()
}

/// No retry mends a URL, or a file that is not there.
#[tokio::test]
async fn database_url_that_cannot_be_used_ends_the_start_also_with_retry() {
    let folder = Folder::with_settings("");
    for (url, why) in [
        (
            "postgres://rowhouse:secret@127.0.0.1:1/app?sslmode=verify-full&sslrootcert=/nowhere/ca.pem",
            "db.url: sslrootcert /nowhere/ca.pem: ",
        ),
        ("postgres://rowhouse:secret@127.0.0.1:many/app", "db.url: bad database URL"),
        ("mysql://rowhouse:secret@127.0.0.1/app", "the scheme is postgres or postgresql"),
    ] {
        let variables = variables(&folder, url, "none");
        let mut serving = Serving::start(command(&folder, &variables, &["serve", "--retry"]));
        serving.says(why);
        let ended = async || serving.0.try_wait().unwrap().is_some();
        until("the start has ended", LIMIT, ended).await;
        assert_eq!(serving.0.wait().unwrap().code(), Some(2));
    }
}

#[test]
fn start_that_waits_for_its_database_ends_on_a_signal() {
    let folder = Folder::with_settings("");
    let url = "postgres://rowhouse:secret@127.0.0.1:1/app";
    let variables = variables(&folder, url, "none");
    let serving = Serving::start(command(&folder, &variables, &["serve", "--retry"]));
    serving.says("trying again");
    assert_eq!(serving.stop(), Some(0));

    let mut variables = variables;
    variables.push(("ROWHOUSE_SERVER__START_RETRY".to_owned(), "true".to_owned()));
    let serving = Serving::start(command(&folder, &variables, &["serve"]));
    serving.says("trying again");
    assert_eq!(serving.stop(), Some(0), "the setting means the same");
}
