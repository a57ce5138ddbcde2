use std::time::Duration;

use rowhouse_kernel::settings::{GroupSpec, Settings, Sources};
use serde_json::json;

use super::{JobsSettings, KindHandler, Missed};

fn groups() -> [GroupSpec; 1] {
    [GroupSpec::of::<JobsSettings>()]
}

fn load(file: &str) -> Result<Settings, Vec<String>> {
    Settings::load(&groups(), &mut Sources::new(file, []))
}

const GOOD: &str = r#"
[jobs]
concurrency = 8
[jobs.queues.reports]
concurrency = 2
tenant_rate = 0.5
[jobs.kinds."billing.invoice"]
url = "https://billing.example/hooks/jobs"
secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
timeout = "10s"
[jobs.schedules.nightly]
cron = "30 2 * * *"
timezone = "Europe/Berlin"
kind = "billing.invoice"
queue = "reports"
payload = { month = 3, since = 2026-01-01, lines = [1, { a = true }] }
missed = "all"
jitter = "5m"
"#;

#[test]
fn queues_kinds_and_schedules_are_read() {
    let jobs = load(GOOD).unwrap().get::<JobsSettings>();
    let queue = jobs.queues.get("reports").unwrap();
    assert_eq!((queue.concurrency, queue.tenant_rate, queue.key_concurrency), (Some(2), Some(0.5), 1));
    let kind = jobs.kinds.get("billing.invoice").unwrap();
    assert_eq!((kind.timeout, kind.max_attempts), (Duration::from_secs(10), 20));
    let nightly = jobs.schedules.get("nightly").unwrap();
    assert_eq!((nightly.missed, nightly.jitter), (Missed::All, Duration::from_secs(300)));
    let payload = json!({ "month": 3, "since": "2026-01-01", "lines": [1, { "a": true }] });
    assert_eq!(serde_json::Value::from(nightly.payload.clone()), payload);
    assert!(nightly.cron.is_some());
}

#[test]
fn every_mistake_is_reported_under_its_own_key() {
    let file = r#"
[jobs]
concurrency = 0
[jobs.queues.Mail]
concurrency = 0
rate = -1
burst = 3
[jobs.queues]
other = 3
[jobs.kinds."billing.invoice"]
url = "ftp://x"
timeout = "2d"
max_attempts = 0
growth = 20
min_release = "v1"
[jobs.kinds.invoice]
handler = "soap"
secret_file = "/nowhere/at/all"
[jobs.schedules.nightly]
cron = "61 * * * *"
kind = "billing.invoice"
missed = "perhaps"
payload = 3
[jobs.schedules.weekly]
cron = "@weekly"
timezone = "Mars/Olympus"
jitter = "2d"
"#;
    let mistakes = load(file).unwrap_err();
    let mut keys: Vec<&str> = mistakes.iter().map(|m| m.split(": ").next().unwrap()).collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        [
            "jobs.concurrency",
            "jobs.kinds.\"billing.invoice\".growth",
            "jobs.kinds.\"billing.invoice\".max_attempts",
            "jobs.kinds.\"billing.invoice\".min_release",
            "jobs.kinds.\"billing.invoice\".secret",
            "jobs.kinds.\"billing.invoice\".timeout",
            "jobs.kinds.\"billing.invoice\".url",
            "jobs.kinds.invoice",
            "jobs.kinds.invoice.handler",
            "jobs.kinds.invoice.secret",
            "jobs.kinds.invoice.url",
            "jobs.queues.Mail",
            "jobs.queues.Mail.burst",
            "jobs.queues.Mail.concurrency",
            "jobs.queues.Mail.rate",
            "jobs.queues.other",
            "jobs.schedules.nightly.cron",
            "jobs.schedules.nightly.missed",
            "jobs.schedules.nightly.payload",
            "jobs.schedules.weekly.jitter",
            "jobs.schedules.weekly.kind",
            "jobs.schedules.weekly.timezone",
        ],
        "{mistakes:#?}"
    );
}

#[test]
fn variable_replaces_a_table_as_json_and_secrets_are_not_shown() {
    let kinds = r#"{"a.b": {"url": "http://x", "secret": "0123456789abcdef0123456789abcdef"}}"#;
    let mut sources = Sources::new(GOOD, [("ROWHOUSE_JOBS__KINDS".to_owned(), kinds.to_owned())]);
    let jobs = Settings::load(&groups(), &mut sources).unwrap().get::<JobsSettings>();
    assert_eq!(jobs.kinds.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["a.b"]);
    let shown = sources.effective().iter().find(|e| e.name == "jobs.kinds").unwrap();
    assert_eq!(shown.value, "a.b");
    assert!(!format!("{jobs:?}").contains("0123456789abcdef"));
}

#[test]
fn kind_of_a_function_names_it_and_has_no_address() {
    let kind = |more: &str| load(&format!("[jobs.kinds.\"shop.tally\"]\nhandler = \"sql\"\n{more}"));
    let jobs = kind("function = \"public.tally\"\nmax_attempts = 3").unwrap().get::<JobsSettings>();
    let tally = jobs.kinds.get("shop.tally").unwrap();
    assert_eq!(
        (tally.handler, tally.function.as_str(), tally.max_attempts),
        (KindHandler::Sql, "public.tally", 3)
    );
    for (more, mistake) in [
        ("", "function: not set"),
        ("function = \"tally\"", "function: expected a function with its schema"),
        ("function = \"public.tally\"\nurl = \"http://x\"", "url: no such setting"),
    ] {
        let mistakes = kind(more).unwrap_err();
        let whole = format!("jobs.kinds.\"shop.tally\".{mistake}");
        assert!(mistakes.len() == 1 && mistakes[0].starts_with(&whole), "{mistakes:?}");
    }
}

#[test]
fn pattern_and_zone_that_are_both_wrong_are_both_reported() {
    let mistakes =
        load("[jobs.schedules.a]\ncron = \"61 * * * *\"\ntimezone = \"Mars/Olympus\"\nkind = \"a.b\"")
            .unwrap_err();
    let keys: Vec<&str> = mistakes.iter().map(|m| m.split(": ").next().unwrap()).collect();
    assert_eq!(keys, ["jobs.schedules.a.cron", "jobs.schedules.a.timezone"], "{mistakes:?}");
}
