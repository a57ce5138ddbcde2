//! Checks of the configuration: every mistake at once, and nothing unsafe in production.

use serde_json::Value;

use crate::program::{Folder, program};

const MISTAKEN: &str = r#"
nonsense = true
[server]
port = "many"
[db]
data_pool_size = -1
[auth]
access_token_lifetime = "soon"
[log]
level = "loud"
"#;
const MISTAKES: [&str; 5] =
    ["nonsense", "server.port", "db.data_pool_size", "auth.access_token_lifetime", "log.level"];

#[test]
fn five_mistakes_are_five_lines_whatever_the_command() {
    let folder = Folder::with_settings(MISTAKEN);
    for args in [&["config", "explain"][..], &["up"], &["serve"], &["migrate", "status"], &["keys", "list"]] {
        let run = folder.run(args);
        let lines: Vec<&str> = run.err.lines().collect();
        assert_eq!((run.code, run.out.as_str()), (2, ""), "{args:?}: {run:?}");
        // `serve` is production, which wants more.
        assert!(lines.len() == 5 || args == ["serve"] && lines.len() > 5, "{args:?}: {run:?}");
        for key in MISTAKES {
            assert_eq!(lines.iter().filter(|line| line.contains(key)).count(), 1, "{key}: {run:?}");
        }
    }
    assert!(!folder.path().join(".rowhouse/pg").exists(), "nothing was begun");
}

#[test]
fn five_mistakes_are_one_document_for_programs() {
    let run = Folder::with_settings(MISTAKEN).run(&["config", "explain", "--json"]);
    assert_eq!(run.code, 2);
    assert_eq!(run.document()["error"].as_array().map(Vec::len), Some(5), "{run:?}");
}

#[test]
fn production_refuses_to_start_and_names_everything_unsafe() {
    let toml = r#"
environment = "production"
[server]
public_url = "http://app.example"
cors_credentials = true
metrics_token = "short"
[db]
url = "postgres://rowhouse@127.0.0.1:1/app"
authenticator_password = "the-same-secret-0123456789-0123456789"
authenticator_service_password = "the-same-secret-0123456789-0123456789"
[auth]
key_secret = "super-secret-jwt-token-with-at-least-32-characters-long"
mailer_autoconfirm = true
[log]
level = "debug"
"#;
    let folder = Folder::with_settings(toml);
    let named = [
        "server.public_url",
        "server.client_address_header",
        "server.cors_origins",
        "server.metrics_token",
        "db.authenticator_service_password",
        "auth.key_secret",
        "auth.mailer_autoconfirm",
        "mail.transport",
        "mail.from",
        "log.level",
    ];
    for command in ["serve", "up"] {
        let run = folder.run(&[command]);
        assert_eq!((run.code, run.err.lines().count()), (2, named.len() + 1), "{run:?}");
        for key in named.into_iter().chain(["db.url"]) {
            assert_eq!(
                run.err.lines().filter(|line| line.starts_with(&format!("rowhouse: {key}: "))).count(),
                1,
                "{key}: {run:?}"
            );
        }
        assert!(
            !run.err.contains("the-same-secret") && !run.err.contains("super-secret"),
            "a secret is shown: {run:?}"
        );
    }
    let explained = folder.run(&["config", "explain", "--json"]);
    assert_eq!(
        (explained.code, explained.document()["unsafe"].as_array().map(Vec::len)),
        (1, Some(named.len())),
        "{explained:?}"
    );
    assert!(!explained.out.contains("the-same-secret"), "{explained:?}");
}

#[test]
fn inherited_database_url_needs_consent() {
    let folder = Folder::with_settings("");
    let run = program(&["up", "--dir"])
        .arg(folder.path())
        .env("DATABASE_URL", "postgres://rowhouse:hidden@127.0.0.1:1/precious")
        .output()
        .unwrap();
    let said = String::from_utf8(run.stderr).unwrap();
    assert_eq!(run.status.code(), Some(2), "{said}");
    assert!(said.contains("\"precious\" on 127.0.0.1") && said.contains("--yes"), "{said}");
    assert!(!said.contains("hidden"), "{said}");
    assert!(!folder.path().join(".rowhouse").exists(), "nothing was begun");
}

#[test]
fn production_without_secrets_is_refused() {
    let run = Folder::with_settings("environment = \"production\"").run(&["serve", "--json"]);
    let reasons = run.document();
    let about = |key: &str| {
        reasons["error"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str)
            .any(|reason| reason.starts_with(key))
    };
    assert_eq!(run.code, 2);
    for key in [
        "auth.key_secret",
        "server.public_url",
        "db.authenticator_password",
        "db.authenticator_service_password",
        "db.url",
    ] {
        assert!(about(key), "{key}: {run:?}");
    }
}

#[test]
fn malformed_schedules_are_refused_under_their_keys_by_every_command() {
    let toml = r#"
[jobs.schedules.often]
cron = "61 * * * *"
kind = "jobs.noop"
[jobs.schedules.never]
cron = "0 0 30 2 *"
kind = "jobs.noop"
[jobs.schedules.far]
cron = "@daily"
timezone = "Mars/Olympus"
kind = "jobs.noop"
[jobs.schedules."both.wrong"]
cron = "whenever"
timezone = "Nowhere"
kind = "jobs.noop"
"#;
    let folder = Folder::with_settings(toml);
    for args in [&["config", "explain"][..], &["up"], &["serve"], &["schedule", "list"]] {
        let run = folder.run(args);
        let lines = run.err.lines().filter(|line| line.starts_with("rowhouse: jobs.schedules."));
        assert_eq!((run.code, lines.count()), (2, 5), "{args:?}: {run:?}");
        for (key, reason) in [
            ("often.cron", "invalid cron pattern \"61 * * * *\""),
            ("never.cron", "it never comes"),
            ("far.timezone", "unknown time zone \"Mars/Olympus\""),
            ("\"both.wrong\".cron", "invalid cron pattern \"whenever\""),
            ("\"both.wrong\".timezone", "unknown time zone \"Nowhere\""),
        ] {
            let begins = format!("rowhouse: jobs.schedules.{key}: ");
            let said = |line: &&str| line.starts_with(&begins) && line.contains(reason);
            assert_eq!(run.err.lines().filter(said).count(), 1, "{key}: {run:?}");
        }
    }
    assert!(!folder.path().join(".rowhouse/pg").exists(), "nothing was begun");
}

/// Mistakes of every kind that need no database: the form of a value, what a group refuses, what production refuses, what a
/// module finds in the project's files, and what is not set.
const STAGES: &str = r#"
environment = "production"
[server]
port = "many"
public_url = "http://app.example"
[auth]
key_secret = 7
access_token_lifetime = "0s"
jwt_role_claim_key = "$..["
jwt_secret = "{\"kty\": \"RSA\"}"
mailer_autoconfirm = true
[auth.external.apple]
client_id = ["com.example.web"]
secret = "the text of a password"
[mail]
from = "nobody"
[auth_hooks]
before_user_created = "public.refuse"
secret = "short"
[log]
level = "debug"
"#;

#[test]
fn mistakes_of_every_stage_are_reported_together() {
    let folder = Folder::with_settings(STAGES);
    std::fs::create_dir_all(folder.path().join("mail/en")).unwrap();
    std::fs::write(folder.path().join("mail/en/test.html"), "{% if %}").unwrap();
    let named = [
        "server.port",
        "server.public_url",
        "auth.key_secret",
        "auth.access_token_lifetime",
        "auth.jwt_role_claim_key",
        "auth.jwt_secret",
        "auth.mailer_autoconfirm",
        "auth.external.apple.secret",
        "auth_hooks.before_user_created",
        "auth_hooks.secret",
        "log.level",
        "mail.transport",
        "mail.from",
        "mail/en/test.html:1",
    ];
    for (command, also) in [("serve", &["db.url", "db.authenticator_password"][..]), ("up", &[])] {
        let run = folder.run(&[command]);
        assert_eq!(run.code, 2, "{run:?}");
        for key in named.iter().chain(also) {
            let about = |line: &&str| line.starts_with(&format!("rowhouse: {key}: "));
            assert_eq!(run.err.lines().filter(about).count(), 1, "{command} {key}: {run:?}");
        }
    }
    let doctor = folder.run(&["doctor", "--json"]);
    let checks = doctor.document()["checks"].to_string();
    for key in named {
        assert!(checks.contains(key), "doctor {key}: {doctor:?}");
    }
}

#[test]
fn keys_of_signatures_that_are_too_short_are_refused_in_development_too() {
    let toml = r#"
[auth_hooks]
secret = "v1,whsec_c2hvcnQ="
[auth_sms]
webhook_secret = "short"
[mail]
webhook_secret = "whsec_c2hvcnQ="
"#;
    let run = Folder::with_settings(toml).run(&["config", "explain"]);
    assert_eq!((run.code, run.err.lines().count()), (2, 3), "{run:?}");
    for key in ["auth_hooks.secret", "auth_sms.webhook_secret", "mail.webhook_secret"] {
        assert!(
            run.err.contains(&format!("rowhouse: {key}: expected a key of 24 to 64 bytes")),
            "{key}: {run:?}"
        );
    }
}
