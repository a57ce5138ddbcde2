//! Submission on a real socket and a real database.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rowhouse_db::{Control, DbSettings};
use rowhouse_http::limit::Rates;
use rowhouse_http::{ServerSettings, Supervisor, accept};
use rowhouse_kernel::{Origin, SharedClock, SystemClock, SystemRng, TenantId};
use rowhouse_mail::sender::{self, ProofResult};
use rowhouse_mail::{Intake, KeyCheck, MailLimits, Submission, SubmissionParts, Waker, credential};
use rowhouse_mail::{MailSettings, MailTransport};
use rowhouse_testkit::{LIMIT, TestDatabase, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::support::mailer;

/// A running server; it ends with the value.
struct Port {
    port: u16,
    drain: watch::Sender<bool>,
    served: tokio::task::JoinHandle<usize>,
    intake: Intake,
    _committers: Supervisor,
}

async fn serve(db: &TestDatabase, transport: MailTransport) -> Port {
    serve_keys(db, transport, Arc::new(|key, _| Box::pin(async move { key.expose() == "service" }))).await
}

async fn serve_keys(db: &TestDatabase, transport: MailTransport, is_service_key: KeyCheck) -> Port {
    let settings = MailSettings { transport, ..MailSettings::default() };
    let control = Control::open(&db.urls.control, &DbSettings::default()).unwrap();
    let waker: Waker = Arc::new(|| ());
    let (intake, tasks) = Intake::new(&mailer(settings.clone()), &control, &waker);
    let committers = Supervisor::default();
    tasks.into_iter().for_each(|task| committers.spawn(task));
    let submission = Submission::new(SubmissionParts {
        intake: intake.clone(),
        control,
        limits: MailLimits::new(
            &settings,
            &ServerSettings::default(),
            &Rates::in_memory(Arc::new(SystemClock)),
        ),
        settings,
        host: "mail.example".to_owned(),
        is_service_key,
        clock: Arc::new(SystemClock),
        rng: Arc::new(SystemRng),
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (drain, draining) = watch::channel(false);
    let served = tokio::spawn(accept(listener, submission.unwrap(), Submission::limits(), draining));
    Port { port, drain, served, intake, _committers: committers }
}

/// Sends everything at once and reads every reply.
async fn talk(port: u16, script: impl AsRef<[u8]>) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let whole = [b"EHLO me\r\n", script.as_ref(), b"QUIT\r\n"].concat();
    stream.write_all(&whole).await.unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).await.unwrap();
    said
}

fn plain(name: &str, secret: &str) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(format!("\0{name}\0{secret}"));
    format!("AUTH PLAIN {text}\r\n")
}

fn mail(content: &str) -> String {
    format!("MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nDATA\r\n{content}\r\n.\r\n")
}

async fn counts(db: &TestDatabase) -> (i64, i64) {
    let sql = "select (select count(*) from mail.messages), (select count(*) from jobs.ready)";
    let row = db.superuser().await.query_one(sql, &[]).await.unwrap();
    (row.get(0), row.get(1))
}

#[tokio::test]
async fn credential_submits_mail_until_it_is_revoked() {
    let db = TestDatabase::create().await;
    let client = db.superuser().await;
    let secret = credential::create(&client, "shop", None, &SystemRng).await.unwrap();
    assert!(credential::create(&client, "shop", None, &SystemRng).await.is_err());
    let server = serve(&db, MailTransport::Relay).await;
    let script = plain("shop", secret.expose()) + &mail("From: a@x.example\r\nSubject: s\r\n\r\nHello");
    let said = talk(server.port, &script).await;
    assert!(said.contains("235 2.7.0") && said.contains("OK queued as 1"), "{said}");
    assert_eq!(counts(&db).await, (1, 1));
    assert!(credential::list(&client).await.unwrap()[0].last_used_at.is_some());
    let row = client.query_one("select to_jsonb(c)::text from mail.credentials c", &[]).await.unwrap();
    assert!(!row.get::<_, &str>(0).contains(secret.expose()), "only its digest is stored");
    assert!(credential::revoke(&client, "shop").await.unwrap());
    let said = talk(server.port, &script).await;
    assert!(said.contains("535 5.7.8") && said.contains("530 5.7.0"), "{said}");
    assert_eq!(counts(&db).await, (1, 1));
}

/// A session that signs in with `opening` and submits a mail; after `revoked` the next mail is refused.
async fn refused_after(server: &Port, opening: &str, revoked: impl AsyncFnOnce()) {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
    let mut said = String::new();
    let message = mail("From: a@x.example\r\nSubject: s\r\n\r\nHello");
    stream.write_all(format!("EHLO me\r\n{opening}{message}").as_bytes()).await.unwrap();
    let mut piece = [0; 1024];
    let queued = async {
        while let Ok(read @ 1..) = stream.read(&mut piece).await {
            said.push_str(std::str::from_utf8(&piece[..read]).unwrap());
            if said.contains("OK queued as") {
                break;
            }
        }
    };
    tokio::time::timeout(LIMIT, queued).await.expect("an answer in time");
    assert!(said.contains("OK queued as"), "{said}");
    revoked().await;
    stream.write_all(message.as_bytes()).await.unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.unwrap();
    assert!(rest.contains("421 4.7.0") && !rest.contains("queued"), "{rest}");
}

#[tokio::test]
async fn open_session_is_refused_once_its_credential_is_revoked() {
    let db = TestDatabase::create().await;
    let client = db.superuser().await;
    let secret = credential::create(&client, "shop", None, &SystemRng).await.unwrap();
    let server = serve(&db, MailTransport::Relay).await;
    refused_after(&server, &plain("shop", secret.expose()), async || {
        assert!(credential::revoke(&client, "shop").await.unwrap());
    })
    .await;
    assert_eq!(counts(&db).await, (1, 1));
}

#[tokio::test]
async fn open_session_is_refused_once_its_user_has_lost_the_role() {
    let db = TestDatabase::create().await;
    let is_service = Arc::new(AtomicBool::new(true));
    let asked = Arc::clone(&is_service);
    let check: KeyCheck = Arc::new(move |_, _| {
        let answer = asked.load(Ordering::SeqCst);
        Box::pin(async move { answer })
    });
    let server = serve_keys(&db, MailTransport::Relay, check).await;
    refused_after(&server, &plain("service_role", "token"), async || {
        is_service.store(false, Ordering::SeqCst);
    })
    .await;
    assert_eq!(counts(&db).await, (1, 1));
}

#[tokio::test]
async fn reserved_and_malformed_credential_names_are_refused() {
    let db = TestDatabase::create().await;
    let client = db.superuser().await;
    for name in ["", "service_role", "a b", "-x", &"x".repeat(101)] {
        assert!(credential::create(&client, name, None, &SystemRng).await.is_err(), "{name}");
    }
}

#[tokio::test]
async fn bad_mail_in_a_batch_does_not_affect_the_others() {
    let db = TestDatabase::create().await;
    let server = serve(&db, MailTransport::Relay).await;
    let talks = (0..20).map(|n| {
        let script =
            plain("service_role", "service") + &mail("From: a@x.example\r\nSubject: s?\r\n\r\nHello");
        // Headers in neither ASCII nor UTF-8 are refused only when they are stored.
        let odd = if n == 7 { 0xe9 } else { b'!' };
        let script: Vec<u8> = script.bytes().map(|byte| if byte == b'?' { odd } else { byte }).collect();
        tokio::spawn(async move { talk(server.port, script).await })
    });
    let mut refused = 0;
    for talk in talks.collect::<Vec<_>>() {
        let said = talk.await.unwrap();
        assert!(said.contains("OK queued as") || said.contains("554 5.6.0"), "{said}");
        refused += usize::from(said.contains("554 5.6.0"));
    }
    assert_eq!((refused, counts(&db).await), (1, (19, 19)));
}

#[tokio::test]
async fn mails_of_many_connections_share_a_commit() {
    let db = TestDatabase::create().await;
    let server = serve(&db, MailTransport::Relay).await;
    let (locker, client) = (db.superuser().await, db.superuser().await);
    locker.batch_execute("begin; lock table mail.messages in exclusive mode").await.unwrap();
    let script = plain("service_role", "service") + &mail("From: a@x.example\r\nSubject: s\r\n\r\nHello");
    let mut talks = Vec::new();
    let mut begin = || {
        let script = script.clone();
        talks.push(tokio::spawn(async move { talk(server.port, script).await }));
    };
    let held_up = "select count(*) from pg_locks where not granted and relation = 'mail.messages'::regclass";
    for committers in 1..=3 {
        begin();
        until("another commit waits for the lock", LIMIT, async || {
            client.query_one(held_up, &[]).await.unwrap().get::<_, i64>(0) == committers
        })
        .await;
    }
    (0..10).for_each(|_| begin());
    until("two mails wait for a commit", LIMIT, async || server.intake.waiting() >= 2).await;
    locker.batch_execute("commit").await.unwrap();
    for talk in talks {
        assert!(talk.await.unwrap().contains("OK queued as"));
    }
    let sql = "select count(*), count(distinct xmin::text) from mail.messages";
    let row = client.query_one(sql, &[]).await.unwrap();
    let (mails, commits): (i64, i64) = (row.get(0), row.get(1));
    assert!(mails == 13 && commits < 13, "{mails} mails in {commits} commits");
}

#[tokio::test]
async fn without_the_database_no_mail_is_accepted() {
    let db = TestDatabase::create().await;
    let server = serve(&db, MailTransport::Capture).await;
    db.superuser().await.batch_execute("alter table mail.messages rename to gone").await.unwrap();
    let said = talk(server.port, &mail("From: a@x.example\r\nSubject: s\r\n\r\nHello")).await;
    assert!(said.contains("451 4.3.0"), "{said}");
}

#[test]
fn number_of_connections_is_limited() {
    assert_eq!(Submission::limits().max_connections, 1000);
}

#[tokio::test]
async fn server_stops_after_its_sessions_have_ended() {
    let db = TestDatabase::create().await;
    let server = serve(&db, MailTransport::Capture).await;
    let mut idle = TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
    let mut greeting = [0; 4];
    idle.read_exact(&mut greeting).await.unwrap();
    server.drain.send(true).unwrap();
    server.served.await.unwrap();
    let mut said = String::new();
    idle.read_to_string(&mut said).await.unwrap();
    assert!(said.contains("421 4.3.2"), "{said}");
}

const TENANT: &str = "00000000-0000-7000-8000-000000000007";

async fn tenant(db: &TestDatabase) -> TenantId {
    let sql = format!(
        "insert into tenancy.organizations (id, name, slug) values ('{TENANT}', 'x', 'x'); \
         insert into tenancy.tenants (id, organization_id, name, slug) values ('{TENANT}', '{TENANT}', 'x', 'x')"
    );
    db.superuser().await.batch_execute(&sql).await.unwrap();
    TENANT.parse().unwrap()
}

#[tokio::test]
async fn credential_of_an_unknown_tenant_is_refused() {
    let db = TestDatabase::create().await;
    let client = db.superuser().await;
    let made = credential::create(&client, "ten", Some(TENANT.parse().unwrap()), &SystemRng).await;
    assert!(made.unwrap_err().to_string().contains("no active tenant"));
}

#[tokio::test]
async fn tenant_s_credential_sends_only_from_proved_senders() {
    let db = TestDatabase::create().await;
    let (client, tenant) = (db.superuser().await, tenant(&db).await);
    let secret = credential::create(&client, "ten", Some(tenant), &SystemRng).await.unwrap();
    let server = serve(&db, MailTransport::Relay).await;
    let said = async |envelope: &str, headers: &str| {
        let message = format!(
            "MAIL FROM:<{envelope}>\r\nRCPT TO:<b@y.example>\r\nDATA\r\n{headers}\r\nSubject: s\r\n\r\nx\r\n.\r\n"
        );
        let said = talk(server.port, plain("ten", secret.expose()) + &message).await;
        said.lines().find(|line| line.contains("queued as") || line.starts_with("55")).unwrap()[..9]
            .to_owned()
    };
    assert_eq!(said("", "From: a@own.example").await, "550 5.7.1");
    let sql = "insert into mail.senders (tenant, kind, name, token, proved_at) values \
               ($1, 'domain', 'own.example', 't', now()), ($1, 'address', 'ada@mine.example', 't', now()), \
               ($1, 'domain', 'asked.example', 't', null)";
    client.execute(sql, &[&tenant.0]).await.unwrap();
    for (envelope, headers, expected) in [
        ("", "From: A <a@OWN.example>", "250 2.0.0"),
        ("b@own.example", "From: ada@mine.example", "250 2.0.0"),
        ("", "From: eve@mine.example", "550 5.7.1"),
        ("", "From: a@sub.own.example", "550 5.7.1"),
        ("", "From: a@asked.example", "550 5.7.1"),
        ("a@x.example", "From: a@own.example", "550 5.7.1"),
        ("", "From: a@own.example, a@x.example", "550 5.7.1"),
        ("", "From: a@own.example\r\nSender: a@x.example", "550 5.7.1"),
        ("", "From: a@x.example: a@own.example;", "554 5.6.0"),
    ] {
        assert_eq!(said(envelope, headers).await, expected, "{envelope} {headers}");
    }
    let age = "update mail.senders set proved_at = now() - interval '366 days' where proved_at is not null";
    client.batch_execute(age).await.unwrap();
    assert_eq!(said("", "From: ada@mine.example").await, "550 5.7.1", "the code was given too long ago");
    assert_eq!(
        said("", "From: a@own.example").await,
        "250 2.0.0",
        "a domain's record is asked for all the time"
    );
    let signed = "select count(*) from mail.messages where tenant is null or credential is null";
    assert_eq!(client.query_one(signed, &[]).await.unwrap().get::<_, i64>(0), 0, "none is the platform's");
    client.batch_execute("update tenancy.tenants set status = 'suspended'").await.unwrap();
    assert_eq!(said("", "From: a@own.example").await, "550 5.7.1");
}

/// The code: the paragraph of a single word.
fn code_of(letter: &str) -> String {
    let mut paragraphs = letter.split("\r\n\r\n");
    paragraphs.find(|text| !text.contains([' ', '\n'])).expect(letter).to_owned()
}

#[tokio::test]
async fn address_is_proved_by_the_code_sent_to_it() {
    let db = TestDatabase::create().await;
    let (client, tenant) = (db.superuser().await, tenant(&db).await);
    let control = Control::open(&db.urls.control, &DbSettings::default()).unwrap();
    let mailer = mailer(MailSettings::default());
    let clock: SharedClock = Arc::new(SystemClock);
    let origin = Origin::system(&clock);
    let ask = async || {
        let name = "Ada@Mine.example".to_owned();
        let asked = sender::ask(&client, tenant, name, sender::new_secret(&SystemRng)).await.unwrap();
        mailer.send(&client, &asked.letter.clone().unwrap()).await.unwrap();
        asked
    };
    let verify = async |code: &str| {
        let (name, code) = ("ada@mine.example".to_owned(), Some(code.to_owned()));
        sender::verify(control.clone(), &origin, tenant, name, code, None).await.unwrap()
    };
    assert_eq!(ask().await.name, "ada@mine.example");
    let sql = "select convert_from(mime, 'UTF8') from mail.messages order by id desc limit 1";
    let letter: String = client.query_one(sql, &[]).await.unwrap().get(0);
    let code = code_of(&letter);
    for _ in 0..10 {
        assert!(matches!(verify("wrong").await, ProofResult::NotProved(_)));
    }
    assert!(matches!(verify(&code).await, ProofResult::NotProved(_)), "guessed too often");
    ask().await;
    assert!(matches!(verify(&code).await, ProofResult::NotProved(_)), "another was sent");
    let letter: String = client.query_one(sql, &[]).await.unwrap().get(0);
    let code = code_of(&letter);
    let age = async |hours: &str| {
        let sql = format!("update mail.senders set created_at = created_at - interval '{hours} hours'");
        client.batch_execute(&sql).await.unwrap();
    };
    age("25").await;
    assert!(matches!(verify(&code).await, ProofResult::NotProved(_)), "a code is valid for a day");
    age("-2").await;
    assert_eq!(verify(&code).await, ProofResult::Proved);
    let year = MailSettings::default().sender_proof_lifetime;
    let listed = sender::list(&client, Some(tenant), year).await.unwrap().remove(0);
    assert_eq!(listed.expires_at, listed.proved_at.map(|proved_at| proved_at + year));
    assert!(sender::remove(&client, tenant, "ada@mine.example".to_owned()).await.unwrap());
}

#[tokio::test]
async fn transaction_of_a_mail_names_the_credential_that_hands_it_in() {
    let db = TestDatabase::create().await;
    let (client, tenant) = (db.superuser().await, tenant(&db).await);
    let secret = credential::create(&client, "ten", Some(tenant), &SystemRng).await.unwrap();
    let sql = "insert into mail.senders (tenant, kind, name, token, proved_at) values ($1, 'domain', 'own.example', 't', now())";
    client.execute(sql, &[&tenant.0]).await.unwrap();
    let watch = "create table public.seen (actor text, tenant text, address text, is_the_mails boolean);
        create function public.see() returns trigger language plpgsql security definer as $$ begin
          insert into public.seen values (current_setting('rowhouse.actor'), current_setting('rowhouse.tenant'),
            current_setting('rowhouse.address'), current_setting('rowhouse.request_id') = new.request_id);
          return null; end $$;
        create trigger see after insert on mail.messages for each row execute function public.see()";
    client.batch_execute(watch).await.unwrap();
    let server = serve(&db, MailTransport::Relay).await;
    let message = "MAIL FROM:<>\r\nRCPT TO:<b@y.example>\r\nDATA\r\nFrom: a@own.example\r\nSubject: s\r\n\r\nx\r\n.\r\n";
    let said = talk(server.port, plain("ten", secret.expose()) + message).await;
    assert!(said.contains("OK queued as"), "{said}");
    let row = client.query_one("select * from public.seen", &[]).await.unwrap();
    let seen: (String, String, String, bool) = (row.get(0), row.get(1), row.get(2), row.get(3));
    assert_eq!(seen, ("credential:ten".to_owned(), tenant.to_string(), "127.0.0.1".to_owned(), true));
}
