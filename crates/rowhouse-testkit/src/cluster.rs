//! One throw-away PostgreSQL server for all tests of a process.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use nix::unistd::{Uid, User};
use rowhouse_db::embedded::find_binaries;

/// The password of every login in test clusters.
pub(crate) const PASSWORD: &str = "test";

/// A running server. It is stopped and its folder removed however this process ends: a watcher process reads from a
/// pipe whose other end only this process holds.
#[derive(Debug)]
pub struct Cluster {
    folder: PathBuf,
    postmaster: i32,
    _watcher: Child,
}

impl Cluster {
    /// The process's server, started on first use.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// A server of its own, for tests that stop or kill it.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(|_| String::new())
    }

    /// The same with further options of the server, from a function that may put files into its folder first.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn start_with(prepare: impl FnOnce(&Path) -> String) -> Self {
        let binaries = find_binaries().expect("PostgreSQL is installed");
        // Short, since Unix socket paths are limited to 107 bytes.
        let folder =
            tempfile::Builder::new().prefix("rh-").tempdir_in("/tmp").expect("a folder under /tmp").keep();
        let account = Account::choose();
        account.own(&folder);
        let password_file = folder.join("pw");
        std::fs::File::create(&password_file)
            .and_then(|mut file| file.write_all(PASSWORD.as_bytes()))
            .expect("the password file");
        account.own(&password_file);
        let data = folder.join("data");
        let mut initdb = account.command(&binaries.program("initdb"));
        initdb.args([
            "-U",
            "postgres",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "-A",
            "scram-sha-256",
            "--no-sync",
            "--no-instructions",
        ]);
        let output =
            initdb.arg("-D").arg(&data).arg("--pwfile").arg(&password_file).output().expect("initdb runs");
        assert!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
        let mut pg_ctl = account.command(&binaries.program("pg_ctl"));
        let further = prepare(&folder);
        let files = std::fs::read_dir(&folder).expect("the folder").filter_map(Result::ok);
        files.filter(|file| file.path().is_file()).for_each(|file| account.own(&file.path()));
        let options = format!("{} {further}", options(&folder));
        let started = pg_ctl
            .args(["-s", "-w", "-o", &options, "-l"])
            .arg(folder.join("log"))
            .arg("-D")
            .arg(&data)
            .arg("start")
            .status();
        assert!(
            started.is_ok_and(|status| status.success()),
            "the server does not start: see {}",
            folder.join("log").display()
        );
        let postmaster = read_pid(&data);
        let watcher = watch(postmaster, &folder);
        Self { folder, postmaster, _watcher: watcher }
    }

    /// URL of a login in a database.
    #[must_use]
    pub fn url(&self, user: &str, database: &str) -> String {
        let folder: String = self.folder.to_string_lossy().bytes().map(|b| format!("%{b:02X}")).collect();
        format!("postgres://{user}:{PASSWORD}@{folder}:5432/{database}")
    }

    /// The folder with its socket.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The postmaster's process id.
    #[must_use]
    pub fn postmaster(&self) -> i32 {
        self.postmaster
    }

    /// Every process of the server.
    #[must_use]
    pub fn processes(&self) -> Vec<i32> {
        let data = self.folder.join("data");
        let entries = std::fs::read_dir("/proc").expect("/proc").filter_map(Result::ok);
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        pids.filter(|pid| std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == data))
            .collect()
    }

    /// Restarts the server after a test has stopped or killed it.
    ///
    /// # Panics
    /// If it does not start.
    pub fn restart(&mut self) {
        let binaries = find_binaries().expect("PostgreSQL is installed");
        let data = self.folder.join("data");
        let mut pg_ctl = Account::choose().command(&binaries.program("pg_ctl"));
        let options = options(&self.folder);
        let started = pg_ctl
            .args(["-s", "-w", "-o", &options, "-l"])
            .arg(self.folder.join("log"))
            .arg("-D")
            .arg(&data)
            .arg("start")
            .status();
        let log = || std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        assert!(
            started.is_ok_and(|status| status.success()),
            "the server does not start again: {}",
            log().lines().rev().take(15).collect::<Vec<_>>().join("\n")
        );
        self.postmaster = read_pid(&data);
        self._watcher = watch(self.postmaster, &self.folder);
    }
}

fn options(folder: &Path) -> String {
    format!(
        "-k {} -h '' -c fsync=off -c full_page_writes=off -c max_connections=400 -c shared_buffers=64MB -c timezone=UTC",
        folder.display()
    )
}

/// When the pipe closes, stops the server and cleans up. A replaced watcher finds another pid in the lock file and
/// does nothing.
fn watch(postmaster: i32, folder: &Path) -> Child {
    let script = r#"read _; [ "$(head -n 1 "$2/data/postmaster.pid" 2>/dev/null)" = "$1" ] || exit 0; kill -CONT "$1"; kill -QUIT "$1"; while kill -0 "$1" 2>/dev/null; do sleep 0.05; done; rm -rf "$2""#;
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script, "sh", &postmaster.to_string()]).arg(folder);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.spawn().expect("the watcher starts")
}

fn read_pid(data: &Path) -> i32 {
    let text = std::fs::read_to_string(data.join("postmaster.pid")).expect("postmaster.pid");
    text.lines().next().and_then(|line| line.trim().parse().ok()).expect("a process id")
}

/// PostgreSQL refuses root.
struct Account(Option<User>);

impl Account {
    fn choose() -> Self {
        if !Uid::effective().is_root() {
            return Self(None);
        }
        let user =
            User::from_name("postgres").ok().flatten().expect("an account `postgres`, since we are root");
        Self(Some(user))
    }

    fn own(&self, path: &Path) {
        if let Some(user) = &self.0 {
            std::os::unix::fs::chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).expect("chown");
        }
        let mode = if path.is_dir() { 0o755 } else { 0o600 };
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("chmod");
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir("/").env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
        if let Some(user) = &self.0 {
            std::os::unix::process::CommandExt::uid(&mut command, user.uid.as_raw());
            std::os::unix::process::CommandExt::gid(&mut command, user.gid.as_raw());
        }
        command
    }
}
