//! Arranging: a database with the platform's schema, a mailer, mails.

use std::sync::Arc;

use rowhouse_db::migrate::Migration;
use rowhouse_kernel::settings::MailSettings;
use rowhouse_kernel::{SystemClock, SystemRng};
use rowhouse_mail::{Mailer, NewMail, read_mailbox};
use rowhouse_testkit::TestDatabase;

/// The platform's migrations, read from the crates' folders: this crate may not depend on those above it.
fn platform_migrations() -> Vec<Migration> {
    let crates = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut all: Vec<Migration> = Vec::new();
    for room in ["rowhouse-db", "rowhouse-auth", "rowhouse-tenancy", "rowhouse-jobs", "rowhouse-mail"] {
        all.extend(rowhouse_db::migrate::read_project(&crates.join(room).join("migrations")).unwrap());
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

pub(crate) async fn database() -> TestDatabase {
    TestDatabase::create(platform_migrations()).await
}

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
