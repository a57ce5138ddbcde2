//! A module in one file: works with nothing but a line in the list of modules.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use clap::Command;
use http::Method;
use reqwest::StatusCode;
use rowhouse::cli;
use rowhouse_db::Heard;
use rowhouse_db::migrate::Statement;
use rowhouse_http::{BackgroundTask, Dialect, Surface};
use rowhouse_kernel::settings::{Check, Findings, GroupSpec, Settings, Sources};
use rowhouse_module::job::{Handler, HandlerFuture, Job};
use rowhouse_module::{
    Assembly, BuiltInSchedule, CommandGroup, CommandOutcome, HealthCheck, JobKind, Metric, Module,
    ModuleFuture, Modules, Roles, Weight,
};
use rowhouse_testkit::TestDatabase;
use tokio::sync::Notify;

use crate::support::{TestApp, settings};

rowhouse_kernel::settings! {
    /// A capability for tests.
    pub struct DummySettings in "dummy" {
        /// The surface's answer.
        pub greeting: String = "hello".to_owned(),
    }
}

impl Check for DummySettings {
    fn check(&self, findings: &mut Findings<'_>) {
        if self.greeting.is_empty() {
            findings.refuse("greeting", "expected a word");
        }
    }

    fn production(&self, _: &Settings, findings: &mut Findings<'_>) {
        findings.refuse("greeting", "tests are no production");
    }
}

const FIRED: BuiltInSchedule = BuiltInSchedule { name: "dummy.tick", cron: "* * * * *", kind: "dummy.job" };

/// State shared with the test.
#[derive(Default)]
struct Seen {
    starts: AtomicU64,
    heard: Notify,
    ran: Notify,
}

struct Dummy(Arc<Seen>);

struct Counted(Arc<Seen>);

impl Handler for Counted {
    fn run<'a>(&'a self, _: &'a Job) -> HandlerFuture<'a> {
        self.0.ran.notify_one();
        Box::pin(std::future::ready(Ok(None)))
    }
}

impl Module for Dummy {
    fn name(&self) -> &'static str {
        "dummy"
    }

    fn migrations(&self) -> &'static [Statement] {
        &[("20270101000000_dummy.sql", "create schema dummy; create table dummy.words (word text)")]
    }

    fn settings(&self) -> Vec<GroupSpec> {
        vec![GroupSpec::of::<DummySettings>()]
    }

    fn channels(&self) -> &'static [&'static str] {
        &["dummy_channel"]
    }

    fn metrics(&self) -> &'static [Metric] {
        &[Metric { name: "dummy_words_total", help: "Words said." }]
    }

    fn commands(&self) -> Vec<CommandGroup> {
        vec![CommandGroup {
            command: || Command::new("dummy").about("Says a word").arg(clap::arg!([word] "The word")),
            run: |matches, _| {
                let word = matches.get_one::<String>("word").cloned().unwrap_or_default();
                Box::pin(async move { Ok(CommandOutcome::yes(serde_json::json!({ "word": word }), word)) })
            },
        }]
    }

    fn start<'a>(&'a self, assembly: &'a mut Assembly) -> ModuleFuture<'a> {
        Box::pin(async move {
            let greeting = assembly.origin.settings.get::<DummySettings>().greeting.clone();
            let router = Router::new().route("/greeting", get(async || greeting));
            assembly.surface(Surface::new("/dummy/v1", Dialect::PLAIN, router));
            assembly.kind(JobKind::new(FIRED.kind), Counted(Arc::clone(&self.0)));
            assembly.schedule(FIRED);
            let (hub, seen) = (assembly.hub(), Arc::clone(&self.0));
            assembly.task(BackgroundTask::new("dummy.listener", move |heartbeat| {
                let (mut heard, seen) = (hub.subscribe(), Arc::clone(&seen));
                seen.starts.fetch_add(1, Ordering::Relaxed);
                async move {
                    while let Ok(heard) = heartbeat.idle(heard.recv()).await {
                        if matches!(heard, Heard::Notice { channel, .. } if channel == "dummy_channel") {
                            seen.heard.notify_one();
                        }
                    }
                }
            }));
            assembly.check(HealthCheck::new("dummy", Weight::Degraded, || Ok(())));
            Ok(())
        })
    }
}

fn modules(seen: &Arc<Seen>) -> Modules {
    rowhouse::modules::modules().with(Dummy(Arc::clone(seen)))
}

#[tokio::test]
async fn module_of_one_file_is_served_run_scheduled_migrated_and_supervised() {
    let seen = Arc::<Seen>::default();
    let modules = modules(&seen);
    let mut sources = Sources::new("[dummy]\ngreeting = \"good day\"", []);
    let mut given = settings();
    given.put((*Settings::load(&modules.settings(), &mut sources).unwrap().get::<DummySettings>()).clone());
    let db = TestDatabase::create().await;
    // A clone of the template lacks the grants on the database itself, which bootstrap makes.
    let grant = format!("grant create on database {} to rowhouse_owner", db.name);
    db.superuser().await.batch_execute(&grant).await.unwrap();
    let control = rowhouse_db::connect(&db.urls.control).await.unwrap();
    let applied = rowhouse_db::migrate::apply_platform(&control, &modules.migrations()).await.unwrap();
    assert_eq!(applied.iter().map(|step| &*step.name).collect::<Vec<_>>(), ["20270101000000_dummy.sql"]);
    let app = TestApp::start_modules(&modules, db, given, Roles::ALL).await;

    let greeting = app.send(app.request(Method::GET, "/dummy/v1/greeting")).await;
    assert_eq!((greeting.status, greeting.text.as_str()), (StatusCode::OK, "good day"));
    let unknown = app.send(app.request(Method::GET, "/dummy/v1/other")).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);

    let client = app.db.superuser().await;
    client.batch_execute("insert into dummy.words values ('there'); notify dummy_channel").await.unwrap();
    client
        .execute("update jobs.schedules set next_at = now() where name = $1", &[&FIRED.name])
        .await
        .unwrap();
    let both = async { tokio::join!(seen.heard.notified(), seen.ran.notified()) };
    tokio::time::timeout(Duration::from_secs(20), both).await.expect("heard and run");
    assert_eq!(seen.starts.load(Ordering::Relaxed), 1, "the task was started once");

    let health = app.send(app.request(Method::GET, "/health")).await.json();
    assert_eq!(
        (&health["services"]["dummy"], &health["services"]["tasks"]),
        (&"healthy".into(), &"healthy".into())
    );
}

#[test]
fn module_contributes_its_command_metrics_and_checks() {
    let modules = modules(&Arc::default());
    let arguments = ["rowhouse", "--json", "dummy", "word"].map(Into::into);
    let (invocation, as_json) = cli::parse(&modules, arguments.into_iter()).unwrap();
    let outcome = rowhouse::command::run(&modules, invocation).result.unwrap();
    assert_eq!((as_json, outcome.json), (true, serde_json::json!({ "word": "word" })));
    assert!(modules.metrics().iter().any(|metric| metric.name == "dummy_words_total"));
    let groups = modules.settings();
    let mistakes = Settings::load(&groups, &mut Sources::new("[dummy]\ngreeting = \"\"", [])).unwrap_err();
    assert_eq!(mistakes, ["dummy.greeting: expected a word"]);
    let good = Settings::load(&groups, &mut Sources::new("", [])).unwrap();
    let refused = rowhouse_kernel::settings::unsafe_settings(&groups, &good);
    assert!(refused.contains(&"dummy.greeting: tests are no production".to_owned()), "{refused:?}");
}
