//! Accepting mails: rows and jobs in the caller's transaction.

use rowhouse_db::{Control, DbSettings};
use rowhouse_kernel::Operation;
use rowhouse_mail::{Attachment, Letter, MailError, NewMail, RawMail, Variables, read_mailbox};
use rowhouse_mail::{MailSettings, MailTransport};
use rowhouse_testkit::TestDatabase;
use tokio_postgres::Client;

use crate::support::{mail, mailer};

fn relayed() -> MailSettings {
    MailSettings { transport: MailTransport::Relay, ..MailSettings::default() }
}

async fn counts(client: &Client) -> (i64, i64, i64) {
    let sql = "select (select count(*) from mail.messages), (select count(*) from mail.recipients), \
               (select count(*) from jobs.ready)";
    let row = client.query_one(sql, &[]).await.unwrap();
    (row.get(0), row.get(1), row.get(2))
}

#[tokio::test]
async fn mail_exists_if_and_only_if_its_transaction_commits() {
    let db = TestDatabase::create().await;
    let (client, mailer) = (db.superuser().await, mailer(relayed()));
    let mut mail = mail("a@b.example");
    mail.bcc.push(read_mailbox("bcc", "c@b.example").unwrap());
    client.batch_execute("begin").await.unwrap();
    mailer.send(&client, &mail).await.unwrap();
    client.batch_execute("rollback").await.unwrap();
    assert_eq!(counts(&client).await, (0, 0, 0));
    let accepted = mailer.send(&client, &mail).await.unwrap();
    assert_eq!(counts(&client).await, (1, 2, 2));
    let addresses: Vec<&str> = accepted.recipients.iter().map(|(_, address)| address.as_str()).collect();
    assert_eq!(addresses, ["a@b.example", "c@b.example"]);
    let payload: i64 = client
        .query_one("select (payload ->> 'recipient')::bigint from jobs.ready order by id limit 1", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(payload, accepted.recipients[0].0);
}

#[tokio::test]
async fn login_of_the_control_plane_can_send() {
    let db = TestDatabase::create().await;
    let control = Control::open(&db.urls.control, &DbSettings::default()).unwrap();
    let mailer = mailer(relayed());
    let accepted = control
        .run_tx(&Operation::system("send_mail"), async move |tx| mailer.send(tx, &mail("a@b.example")).await)
        .await
        .unwrap();
    assert!(accepted.is_new);
    assert_eq!(counts(&db.superuser().await).await, (1, 1, 1));
}

#[tokio::test]
async fn same_key_makes_one_mail() {
    let db = TestDatabase::create().await;
    let (client, mailer) = (db.superuser().await, mailer(relayed()));
    let mail = NewMail { idempotency_key: Some("order 7".to_owned()), ..mail("a@b.example") };
    let first = mailer.send(&client, &mail).await.unwrap();
    let second = mailer.send(&client, &mail).await.unwrap();
    assert_eq!((first.is_new, second.is_new), (true, false));
    assert_eq!(
        (first.id, &first.message_id, &first.recipients),
        (second.id, &second.message_id, &second.recipients)
    );
    assert_eq!(counts(&client).await, (1, 1, 1));
}

#[tokio::test]
async fn two_tenants_may_use_one_key() {
    let db = TestDatabase::create().await;
    let (client, mailer) = (db.superuser().await, mailer(relayed()));
    let tenants =
        [None, Some("00000000-0000-7000-8000-000000000001"), Some("00000000-0000-7000-8000-000000000002")];
    for round in [true, false] {
        for tenant in tenants {
            let mail = NewMail {
                idempotency_key: Some("order 7".to_owned()),
                tenant: tenant.map(|id| id.parse().unwrap()),
                ..mail("a@b.example")
            };
            assert_eq!(mailer.send(&client, &mail).await.unwrap().is_new, round, "{tenant:?}");
        }
    }
    assert_eq!(counts(&client).await.0, 3);
}

#[tokio::test]
async fn captured_mail_is_listed_at_once_and_has_no_job() {
    let db = TestDatabase::create().await;
    let (client, mailer) = (db.superuser().await, mailer(MailSettings::default()));
    mailer.send(&client, &mail("a@b.example")).await.unwrap();
    assert_eq!(counts(&client).await, (1, 1, 0));
    let state: String = client.query_one("select state from mail.recipients", &[]).await.unwrap().get(0);
    assert_eq!(state, "captured");
}

#[tokio::test]
async fn submitted_message_is_stored_as_it_is_sent() {
    let db = TestDatabase::create().await;
    let (client, mailer) = (db.superuser().await, mailer(relayed()));
    let raw = RawMail {
        from: Some("bounce@x.example".parse().unwrap()),
        to: vec!["a@b.example".parse().unwrap()],
        mime: b"From: X <x@x.example>\nSubject: S\nBcc: y@x.example\n\nBody".to_vec(),
        ..RawMail::default()
    };
    mailer.send_raw(&client, &raw).await.unwrap();
    let row = client
        .query_one("select envelope_from, sender, subject, mime from mail.messages", &[])
        .await
        .unwrap();
    let mime = String::from_utf8(row.get(3)).unwrap();
    assert_eq!((row.get::<_, &str>(0), row.get::<_, &str>(2)), ("bounce@x.example", "S"));
    assert_eq!(row.get::<_, &str>(1), "X <x@x.example>");
    assert!(mime.ends_with("From: X <x@x.example>\r\nSubject: S\r\n\r\nBody"), "{mime}");
}

#[tokio::test]
async fn oversized_mail_is_refused_before_anything_is_stored() {
    let db = TestDatabase::create().await;
    let (client, mailer) = (db.superuser().await, mailer(relayed()));
    let file = Attachment {
        name: "big.bin".to_owned(),
        content_type: "application/octet-stream".to_owned(),
        content_id: None,
        content: vec![7; 30 * 1024 * 1024],
    };
    let mail = NewMail { attachments: vec![file], ..mail("a@b.example") };
    let error = mailer.send(&client, &mail).await.unwrap_err();
    assert!(matches!(error, MailError::TooLarge { most: 26_214_400, .. }), "{error}");
    // Small enough as a file, too large when encoded.
    let mut mail = mail;
    mail.attachments[0].content.truncate(20 * 1024 * 1024);
    assert!(matches!(mailer.send(&client, &mail).await, Err(MailError::TooLarge { .. })));
    assert_eq!(counts(&client).await, (0, 0, 0));
}

#[tokio::test]
async fn callers_of_the_data_api_cannot_read_mails() {
    let db = TestDatabase::create().await;
    let client = db.superuser().await;
    for role in ["anon", "authenticated", "service_role", "rowhouse_project"] {
        for table in [
            "messages",
            "recipients",
            "events",
            "suppressions",
            "pace",
            "days",
            "drafts",
            "hook",
            "credentials",
            "senders",
        ] {
            let sql = format!("begin; set local role {role}; select * from mail.{table}");
            let error = client.batch_execute(&sql).await.unwrap_err();
            assert_eq!(error.code().unwrap().code(), "42501", "{role} {table}");
            client.batch_execute("rollback").await.unwrap();
        }
    }
}

#[tokio::test]
async fn letter_is_written_in_the_nearest_language_and_sent_like_any_mail() {
    let db = TestDatabase::create().await;
    let (client, mailer) = (db.superuser().await, mailer(relayed()));
    let variables = Variables { token: "424242".to_owned(), ..Variables::default() };
    let to = read_mailbox("to", "a@b.example").unwrap();
    let mail = mailer.write(Letter::Reauthentication, Some("de-CH"), to, &variables).unwrap();
    mailer.send(&client, &mail).await.unwrap();
    let row = client.query_one("select kind, subject from mail.messages", &[]).await.unwrap();
    assert_eq!(
        (row.get::<_, &str>(0), row.get::<_, &str>(1)),
        ("reauthentication", "Ihr Code für Rowhouse: 424242")
    );
}

#[tokio::test]
async fn project_may_call_mail_send_only_and_users_no_function() {
    let db = TestDatabase::create().await;
    let client = db.superuser().await;
    for (role, expected) in [
        ("anon", vec![]),
        ("authenticated", vec![]),
        ("service_role", vec!["send"]),
        ("rowhouse_project", vec!["send"]),
    ] {
        let sql = "select proname::text from pg_proc p where pronamespace = 'mail'::regnamespace \
                   and has_function_privilege($1, p.oid, 'execute') order by 1";
        let rows = client.query(sql, &[&role]).await.unwrap();
        let callable: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        assert_eq!(callable, expected, "{role}");
    }
}
