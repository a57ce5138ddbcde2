//! The command line: documented commands, exit codes, one JSON document; and a whole project life cycle.

mod crash;
mod database;
mod document;
mod dump;
mod ending;
mod interrupt;
mod life;
mod lint;
mod migrate;
mod round_trip;
mod trace;
mod users;

use std::net::TcpListener;

use crate::program::{Folder, program, run};

#[test]
fn init_creates_a_project_once() {
    let folder = Folder::empty();
    let target = folder.path().join("my-saas");
    let target = target.to_str().unwrap();
    let first = run(&["init", target]);
    assert_eq!(first.code, 0, "{first:?}");
    for file in ["rowhouse.toml", "seed.sql", "migrations", ".gitignore"] {
        assert!(folder.path().join("my-saas").join(file).exists(), "{file}");
    }
    let before = std::fs::read_to_string(folder.path().join("my-saas/rowhouse.toml")).unwrap();
    let second = run(&["init", target]);
    assert_eq!((second.code, second.err.lines().count()), (2, 1), "{second:?}");
    assert_eq!(before, std::fs::read_to_string(folder.path().join("my-saas/rowhouse.toml")).unwrap());
    let empty = Folder::empty();
    assert_eq!(empty.run(&["init"]).code, 0, "an existing empty folder is taken");
}

#[test]
fn json_is_exactly_one_document_for_answers_and_for_errors() {
    let folder = Folder::with_settings("");
    for (args, code) in [
        (&["status"][..], 1),
        (&["config", "explain"], 0),
        (&["completions", "bash"], 0),
        (&["stop"], 0),
        (&["keys", "list"], 2),
        (&["keys", "rotate"], 2),
        (&["keys", "reseal"], 2),
        (&["tenants", "limits", "00000000-0000-7000-8000-000000000001"], 2),
        (&["tenants", "limits", "nonsense"], 2),
        (&["flags", "list"], 2),
        (&["flags", "override", "x", "nobody", "on"], 2),
        (&["audit", "verify"], 2),
        (&["audit", "list", "--since", "yesterday"], 2),
        (&["migrate", "status"], 2),
        (&["migrate", "up"], 2),
        (&["schedule", "list"], 2),
        (&["rls", "audit"], 2),
        (&["rls", "prove"], 2),
        (&["rls", "prove", "--mutate", "--html", "x.html"], 2),
        (&["backup", "list"], 0),
        (&["backup", "verify"], 1),
        (&["backup", "verify", "20260101T000000Z-000000"], 2),
        (&["backup", "verify", "../up"], 2),
        (&["backup", "list", "--key", "rowhouse.toml"], 2),
        (&["backup", "prune", "--dry-run"], 0),
        (&["users", "status"], 2),
        (&["users", "sync", "--role", "user"], 2),
        (&["admin", "grant", "a@example.com", "--role", "support", "--minutes", "0", "--reason", "x"], 2),
        (&["admin", "bootstrap"], 2),
        (&["serve"], 2),
        (&["init"], 2),
        (&["nonsense"], 2),
        (&["keys", "issue", "--role", "nonsense"], 2),
        (&["up", "--port", "many"], 2),
    ] {
        let run = folder.run(&[args, &["--json"]].concat());
        assert_eq!(run.code, code, "{args:?}: {run:?}");
        let document = run.document();
        assert_eq!(document.get("error").is_some(), code == 2, "{args:?}: {run:?}");
    }
    let doctor = folder.run(&["doctor", "--json"]);
    assert_eq!(doctor.document()["ok"], doctor.code == 0, "{doctor:?}");
    let fresh = Folder::empty();
    assert_eq!(fresh.run(&["init", "--json"]).document()["created"].as_array().map(Vec::len), Some(4));
}

#[test]
fn folder_that_does_not_exist_is_one_clear_line() {
    for command in ["status", "up", "stop", "serve"] {
        let run = run(&[command, "--dir", "/nonexistent/project"]);
        assert_eq!((run.code, run.err.lines().count()), (2, 1), "{run:?}");
        assert!(run.err.contains("/nonexistent/project"), "{run:?}");
    }
}

#[test]
fn stopped_project_is_reported_by_exit_code() {
    let folder = Folder::with_settings("");
    let status = folder.run(&["status"]);
    assert_eq!(status.code, 1, "{status:?}");
    assert!(status.out.contains("rowhouse up"), "names what to do: {status:?}");
    assert_eq!(folder.run(&["psql", "-c", "select 1"]).code, 2);
}

#[test]
fn key_of_drills_that_is_missing_is_named_by_doctor() {
    let folder = Folder::with_settings("[backup]\ndrill_key_file = \"gone.key\"\n");
    let doctor = folder.run(&["doctor"]);
    assert_eq!(doctor.code, 1, "{doctor:?}");
    assert!(
        doctor.out.contains("FAIL drill key") && doctor.out.contains("gone.key: No such file"),
        "{doctor:?}"
    );
}

#[test]
fn completions_exist_for_the_usual_shells() {
    for shell in ["bash", "zsh", "fish"] {
        let run = run(&["completions", shell]);
        assert_eq!(run.code, 0, "{run:?}");
        for command in ["init", "doctor", "migrate"] {
            assert!(run.out.contains(command), "{shell} knows {command}");
        }
    }
}

#[test]
fn help_of_every_command_carries_an_example() {
    for path in document::commands() {
        let args: Vec<&str> = path.split(' ').chain(["--help"]).collect();
        let run = run(&args);
        assert_eq!(run.code, 0, "{path}: {run:?}");
        assert!(run.out.contains("Example:") && run.out.contains("rowhouse "), "{path}: {}", run.out);
    }
}

#[test]
fn help_says_what_every_command_does() {
    for group in document::commands().iter().map(String::as_str).chain([""]) {
        let words = group.split(' ').filter(|word| !word.is_empty());
        let run = run(&words.chain(["--help"]).collect::<Vec<_>>());
        let about = run.out.lines().next().unwrap_or_default();
        assert!(about.split(' ').count() > 2 && !about.contains('…'), "{group}: {about}");
        let depth = group.split(' ').filter(|word| !word.is_empty()).count();
        let commands = document::commands();
        let children = commands.iter().filter(|path| {
            let below = path.strip_prefix(group).map(str::trim_start);
            below.is_some_and(|rest| !rest.is_empty()) && path.split(' ').count() == depth + 1
        });
        for child in children {
            let name = child.rsplit(' ').next().unwrap_or_default();
            let listed = run.out.lines().find_map(|line| line.strip_prefix(&format!("  {name} ")));
            let about = listed.unwrap_or_else(|| panic!("{group} does not list {name}: {}", run.out)).trim();
            assert!(about.split(' ').count() > 1 && !about.contains('…'), "{child}: {about}");
        }
    }
    let keys = run(&["keys", "--help"]).out;
    for name in ["list", "rotate", "revoke", "issue", "reseal"] {
        assert!(keys.contains(&format!("  {name} ")), "{keys}");
    }
}

#[test]
fn port_taken_names_the_holder() {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().port().to_string();
    let folder = Folder::with_settings("");
    let run = folder.run(&["up", "--port", &port]);
    assert_eq!((run.code, run.err.lines().count()), (2, 1), "{run:?}");
    assert!(run.err.contains(&port) && run.err.contains(&std::process::id().to_string()), "{run:?}");
    assert!(!folder.path().join(".rowhouse/pg").exists(), "nothing was begun");
}

#[test]
fn closed_output_pipe_is_not_a_failure() {
    let mut child = program(&["completions", "bash"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
