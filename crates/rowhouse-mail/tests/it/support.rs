//! Arranging: a database with the platform's schema, a mailer, mails.

use std::sync::Arc;
use std::time::Duration;

use rowhouse_db::{Control, DbSettings};
use rowhouse_jobs::{Handler, Job, JobResult, Lease, Registry, Worker, WorkerParts};
use rowhouse_kernel::{SystemClock, SystemRng};
use rowhouse_mail::MailSettings;
use rowhouse_mail::{Accepted, Delivery, Mailer, NewMail, read_mailbox};
use rowhouse_testkit::TestDatabase;
use tokio_postgres::Client;

pub(crate) fn mailer(settings: MailSettings) -> Mailer {
    Mailer::new(settings, Arc::new(SystemClock), Arc::new(SystemRng)).unwrap()
}

pub(crate) fn mail(to: &str) -> NewMail {
    NewMail {
        to: vec![read_mailbox("to", to).unwrap()],
        subject: "Hello".to_owned(),
        text: Some("Hello".to_owned()),
        ..NewMail::default()
    }
}

fn deliverer(db: &TestDatabase, settings: &MailSettings) -> Delivery {
    let control = Control::open(&db.urls.control, &DbSettings::default()).unwrap();
    Delivery::new(control, settings.clone(), Arc::new(SystemClock)).unwrap()
}

/// A database, a mailer and a deliverer with one configuration.
pub(crate) struct TestMail {
    pub(crate) db: TestDatabase,
    pub(crate) client: Client,
    pub(crate) delivery: Delivery,
    mailer: Mailer,
    settings: MailSettings,
}

impl TestMail {
    pub(crate) async fn new(settings: MailSettings) -> Self {
        let db = TestDatabase::create().await;
        let delivery = deliverer(&db, &settings);
        Self { client: db.superuser().await, db, delivery, mailer: mailer(settings.clone()), settings }
    }

    /// Starts again as a new process does: with a closed breaker.
    pub(crate) fn begin_anew(&mut self) {
        self.delivery = deliverer(&self.db, &self.settings);
    }

    pub(crate) async fn send(&self, to: &str) -> Accepted {
        self.mailer.send(&self.client, &mail(to)).await.unwrap()
    }

    /// Runs the job of a recipient once.
    pub(crate) async fn deliver(&self, recipient: i64) -> JobResult {
        let payload = serde_json::json!({ "recipient": recipient });
        let job = Job {
            id: 1,
            kind: "mail.send".into(),
            queue: "mail".into(),
            tenant: None,
            attempt: 1,
            max_attempts: 1000,
            timeout: Duration::from_secs(600),
            payload: payload.as_object().unwrap().clone(),
            payload_json: payload.to_string().into(),
            enqueued_at: time::OffsetDateTime::UNIX_EPOCH,
            request_id: None,
            lease: Lease { id: 1, worker: uuid::Uuid::nil() },
        };
        self.delivery.run(&job).await
    }

    pub(crate) async fn worker(&self) -> Worker {
        let settings = DbSettings { control_pool_size: 8, ..DbSettings::default() };
        let mut registry = Registry::new();
        self.delivery.register(&mut registry);
        let parts = WorkerParts {
            control: Control::open(&self.db.urls.control, &settings).unwrap(),
            registry,
            concurrency: 20,
            release: "1.0.0".to_owned(),
            clock: Arc::new(SystemClock),
            rng: Arc::new(SystemRng),
        };
        Worker::start(parts).await.unwrap()
    }
}
