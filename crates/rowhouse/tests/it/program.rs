//! Runs the real program on project folders of its own.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rowhouse_testkit::TestDatabase;
use serde_json::Value;
use tempfile::TempDir;

/// Longest wait for a first start, initdb included, on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A project's folder; removed when dropped.
pub(crate) struct Folder(TempDir);

/// How a run of the program ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Run {
    pub(crate) fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Standard output as exactly one JSON document.
    pub(crate) fn document(&self) -> Value {
        let mut documents = serde_json::Deserializer::from_str(&self.out).into_iter::<Value>();
        let first = documents
            .next()
            .unwrap_or_else(|| panic!("no document: {self:?}"))
            .unwrap_or_else(|_| panic!("no JSON: {self:?}"));
        assert!(documents.next().is_none(), "more than one document: {self:?}");
        first
    }
}

/// The program without the surroundings' settings, and with no signal ignored: it respects those that were, as under
/// `nohup`. `env` becomes the program, under the same process id.
pub(crate) fn program(args: &[&str]) -> Command {
    let mut command = Command::new("env");
    command.args(["--default-signal=HUP,INT,QUIT,TERM", env!("CARGO_BIN_EXE_rowhouse")]);
    let foreign =
        |name: &str| name.starts_with("ROWHOUSE_") || matches!(name, "DATABASE_URL" | "PORT" | "REDIS_URL");
    for (name, _) in std::env::vars().filter(|(name, _)| foreign(name)) {
        command.env_remove(name);
    }
    command.args(args).stdin(Stdio::null());
    command
}

pub(crate) fn run(args: &[&str]) -> Run {
    Run::of(program(args).output().unwrap())
}

/// The program on a test's database, with a project of its own.
pub(crate) fn on_database(db: &TestDatabase, folder: &Folder, args: &[&str]) -> Command {
    let mut command = program(args);
    command.arg("--dir").arg(folder.path()).env("DATABASE_URL", db.urls.control.expose());
    command
}

impl Folder {
    pub(crate) fn empty() -> Self {
        let folder = tempfile::Builder::new().prefix("rh-").tempdir_in("/tmp").unwrap();
        // The database's account has to pass.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        Self(folder)
    }

    pub(crate) fn with_settings(toml: &str) -> Self {
        let folder = Self::empty();
        std::fs::write(folder.path().join("rowhouse.toml"), toml).unwrap();
        folder
    }

    /// The example project, as a newcomer finds it.
    pub(crate) fn todos() -> Self {
        let folder = Self::empty();
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/todos");
        std::fs::create_dir(folder.path().join("migrations")).unwrap();
        let files = std::fs::read_dir(example.join("migrations"))
            .unwrap()
            .map(|entry| PathBuf::from("migrations").join(entry.unwrap().file_name()));
        for file in files.chain(["rowhouse.toml".into(), "seed.sql".into()]) {
            std::fs::copy(example.join(&file), folder.path().join(&file)).unwrap();
        }
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Runs a command on this project.
    pub(crate) fn run(&self, args: &[&str]) -> Run {
        run(&[args, &["--dir", self.path().to_str().unwrap()]].concat())
    }
}

/// A running `up`; stopped when dropped.
pub(crate) struct Up {
    child: Child,
    pub(crate) state: Value,
    log: Receiver<String>,
}

impl Up {
    /// Returns once the banner says that it is ready.
    pub(crate) fn start(folder: &Folder, port: u16) -> Self {
        let mut child = program(&["up", "--port", &port.to_string()])
            .arg("--dir")
            .arg(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (lines, log) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            stderr.lines().map_while(Result::ok).for_each(|line| drop(lines.send(line)));
        });
        let mut up = Self { child, state: Value::Null, log };
        let mut seen = Vec::new();
        while !seen.last().is_some_and(|line: &String| line.starts_with("Rowhouse is ready")) {
            seen.push(up.log.recv_timeout(TIMEOUT).unwrap_or_else(|_| panic!("not ready: {seen:#?}")));
        }
        let state = std::fs::read_to_string(folder.path().join(".rowhouse/state.json")).unwrap();
        up.state = serde_json::from_str(&state).unwrap();
        up
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.state[name].as_str().unwrap().to_owned()
    }

    /// The log from here on, up to the first line that holds `word`.
    pub(crate) fn log_until(&self, word: &str) -> Vec<String> {
        let mut seen = Vec::new();
        while !seen.last().is_some_and(|line: &String| line.contains(word)) {
            let next = self.log.recv_timeout(TIMEOUT);
            seen.push(next.unwrap_or_else(|_| panic!("no line with {word}: {seen:#?}")));
        }
        seen
    }

    /// The exit code, once it has ended by itself.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        if let (Ok(None), Ok(pid)) = (self.child.try_wait(), i32::try_from(self.child.id())) {
            let _gone =
                nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGTERM);
            let _ended = self.child.wait();
        }
    }
}

/// A port P such that P, P+1, P+3 and P+4 are free: API, PostgreSQL, captured mail, SMTP.
pub(crate) fn free_port() -> u16 {
    loop {
        let first = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = first.local_addr().unwrap().port();
        let is_free = |offset| {
            port.checked_add(offset).is_some_and(|port| TcpListener::bind(("127.0.0.1", port)).is_ok())
        };
        if [1, 3, 4].into_iter().all(is_free) {
            return port;
        }
    }
}

/// Processes that work in a folder.
pub(crate) fn processes_in(folder: &str) -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == Path::new(folder))
    })
    .collect()
}
