//! Letters and events of hooks, which jobs bring: the connection of the process that runs them breaks at each of the round
//! trips from the one that fetches them.

use rowhouse_auth::AuthHookSettings;
use rowhouse_kernel::Secret;
use rowhouse_mail::{MailSettings, MailTransport};
use rowhouse_module::Roles;
use rowhouse_testkit::{Break, LIMIT, Receiver, TestDatabase, TripCounter, until, until_true};
use serde_json::{Value, json};

use crate::app::{App, PASSWORD};
use crate::confirmation::strict;

/// Round trips that are broken after the one that fetches the jobs: its own, and those of the loops beside it.
const MOST_TRIPS: u64 = 12;
const SETTLED: &str = "not exists (select from jobs.ready) and not exists (select from jobs.leases)
    and not exists (select from mail.recipients where finished_at is null)";

/// A process that writes mails into a folder, and tells a hook of new users.
async fn process(db: TestDatabase, folder: &str, port: u16, is_worker: bool) -> App {
    let hooks = AuthHookSettings {
        after_user_created: Some(format!("http://127.0.0.1:{port}/made")),
        secret: Some(Secret::new("a secret of the project's hooks, 32+")),
        ..AuthHookSettings::default()
    };
    App::with_setup(db, strict(), |setup| {
        setup.settings.put(hooks);
        setup.settings.update(|mail: &mut MailSettings| {
            mail.transport = MailTransport::File;
            folder.clone_into(&mut mail.file_folder);
        });
        setup.roles = Roles { api: true, worker: is_worker };
    })
    .await
}

/// The hook may be told again, of the same event; a mail's file is written once more under its name.
#[tokio::test]
async fn letter_and_hook_reach_their_ends_wherever_the_connection_of_their_jobs_breaks() {
    let (counter, db, folder) =
        (TripCounter::start().await, TestDatabase::create().await, tempfile::tempdir().unwrap());
    let mut receiver = Receiver::with_statuses(&[204]).await;
    let path = folder.path().to_str().unwrap();
    let app = process(db.clone(), path, receiver.port, false).await;
    let mut broken = db.clone();
    broken.urls.control = Secret::new(counter.url("rowhouse", &db.name));
    let _worker = process(broken, path, receiver.port, true).await;
    let (sql, mut number) = (app.sql().await, 0_usize);
    for how in Break::ALL {
        for ahead in 0..=MOST_TRIPS {
            number += 1;
            let email = format!("{number}@example.com");
            counter.break_after("after-user-created", ahead, how);
            app.post("/signup", json!({ "email": email, "password": PASSWORD })).await.ok();
            let told = receiver.next().await;
            let event: Value = serde_json::from_str(&told.body).unwrap();
            assert_eq!(event["user"]["email"], email.as_str());
            until("the break", LIMIT, async || !counter.is_ahead()).await;
            until_true(&sql, SETTLED).await;
            let again = receiver.take();
            assert!(again.iter().all(|request| request.body == told.body), "{again:?}");
            let letters = std::fs::read_dir(folder.path()).unwrap().filter_map(Result::ok);
            let letters = letters.filter(|file| file.path().extension().is_some_and(|kind| kind == "eml"));
            assert_eq!(letters.count(), number, "{ahead} {how:?}");
        }
    }
    let sent = "select count(*) from mail.recipients r where state = 'sent'
        and (select count(*) from mail.events e where e.recipient = r.id and e.event = 'sent') = 1";
    let sent: i64 = sql.query_one(sent, &[]).await.unwrap().get(0);
    let dead: i64 = sql.query_one("select count(*) from jobs.dead", &[]).await.unwrap().get(0);
    assert_eq!((usize::try_from(sent).unwrap(), dead), (number, 0));
}
