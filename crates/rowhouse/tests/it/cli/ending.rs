//! However `up` ends, its PostgreSQL is stopped: signals, closed terminals, and `stop` after a kill.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use serde_json::Value;

use crate::program::{Folder, Up, free_port, processes_in, program};

fn pid(up: &Up, name: &str) -> Pid {
    Pid::from_raw(i32::try_from(up.state[name].as_i64().unwrap()).unwrap())
}

#[test]
fn closed_terminal_and_sigquit_stop_the_database_too() {
    let folder = Folder::with_settings("");
    for signal in [Signal::SIGHUP, Signal::SIGQUIT] {
        let mut up = Up::start(&folder, free_port());
        let data = up.text("pg_data_dir");
        assert!(!processes_in(&data).is_empty());
        kill(pid(&up, "pid"), signal).unwrap();
        assert_eq!(up.wait(), Some(0), "{signal}");
        assert!(processes_in(&data).is_empty(), "{signal}");
    }
}

#[test]
fn stop_cleans_up_after_a_kill() {
    let folder = Folder::with_settings("");
    let mut up = Up::start(&folder, free_port());
    let data = up.text("pg_data_dir");
    kill(pid(&up, "pid"), Signal::SIGKILL).unwrap();
    assert_eq!(up.wait(), None);
    assert!(!processes_in(&data).is_empty());
    let stopped = folder.run(&["stop", "--json"]);
    assert_eq!(stopped.document()["pg_pid"], up.state["pg_pid"], "{stopped:?}");
    assert!(processes_in(&data).is_empty());
}

#[test]
fn document_is_printed_when_ready_and_nothing_after_it() {
    let folder = Folder::with_settings("");
    let mut child = program(&["up", "--json", "--log-format", "text", "--port", &free_port().to_string()])
        .arg("--dir")
        .arg(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&ready["ready"], &ready["pid"]), (&true.into(), &child.id().into()), "{line}");
    assert_eq!(folder.run(&["stop"]).code, 0);
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
    let log = String::from_utf8(child.wait_with_output().unwrap().stderr).unwrap();
    assert!(log.lines().any(|line| line.contains("INFO stopped")), "{log}");
    assert!(!log.contains('{') && !log.contains('\u{1b}'), "neither JSON nor colour: {log}");
    assert!(!log.contains("WARN") && !log.contains("ERROR"), "an end without complaints: {log}");
}

/// As in another container, where the same process id is another process.
#[test]
fn stop_signals_only_the_process_that_holds_the_project() {
    let folder = Folder::with_settings("");
    let up = Up::start(&folder, free_port());
    let path = folder.path().join(".rowhouse/state.json");
    let mut state = up.state.clone();
    state["pid"] = std::process::id().into();
    std::fs::write(&path, state.to_string()).unwrap();
    let refused = folder.run(&["stop"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.err.contains("another container"), "{refused:?}");
}
