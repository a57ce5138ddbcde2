//! Delivery through a real SMTP server: retries, limits, final states. Leaves the SMTP client to `relay`.

use std::time::Duration;

use rowhouse_jobs::{Handler, JobError};
use rowhouse_mail::{MailSettings, MailTransport, NewMail, history};
use rowhouse_testkit::{LIMIT, until, until_true};
use tokio_postgres::Client;

use crate::peer::Peer;
use crate::support::{TestMail, mail, mailer};

/// Settings of a relay that these tests never reach.
fn nowhere() -> MailSettings {
    let relay_host = Some("localhost".to_owned());
    MailSettings { transport: MailTransport::Relay, relay_host, relay_port: 1, ..MailSettings::default() }
}

pub(crate) fn header<'a>(mime: &'a str, name: &str) -> &'a str {
    let line = mime.lines().find(|line| line.to_lowercase().starts_with(&format!("{name}:")));
    line.unwrap().split_once(':').unwrap().1.trim()
}

pub(crate) async fn state(client: &Client, recipient: i64) -> (String, i16, String) {
    let sql = "select state, attempts, coalesce(last_reply, '') from mail.recipients where id = $1";
    let row = client.query_one(sql, &[&recipient]).await.unwrap();
    (row.get(0), row.get(1), row.get(2))
}

pub(crate) async fn events(client: &Client, recipient: i64) -> Vec<String> {
    let sql = "select event from mail.events where recipient = $1 order by id";
    client.query(sql, &[&recipient]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn temporary_refusal_is_retried_when_the_server_said() {
    let mut peer = Peer::plain().await;
    let post = TestMail::new(peer.settings()).await;
    let accepted = post.send("later@b.example").await;
    let recipient = accepted.recipients[0].0;
    let first = post.deliver(recipient).await;
    assert!(
        matches!(first, Err(JobError::RetryAfter(after, _)) if after == Duration::from_secs(310)),
        "{first:?}"
    );
    assert_eq!(state(&post.client, recipient).await.0, "delayed");
    assert_eq!(post.deliver(recipient).await, Ok(None));
    assert_eq!(
        header(peer.next().await["mime"].as_str().unwrap(), "message-id"),
        format!("<{}>", accepted.message_id)
    );
    assert_eq!(state(&post.client, recipient).await.1, 2);
    assert_eq!(events(&post.client, recipient).await, ["delayed", "sent"]);
}

#[tokio::test]
async fn unknown_recipient_bounces_and_is_suppressed() {
    let peer = Peer::plain().await;
    let post = TestMail::new(peer.settings()).await;
    let accepted = post.send("Nobody@B.example").await;
    // The peer compares case-sensitively; the suppression does not.
    let nobody = post.send("nobody@b.example").await;
    assert_eq!(post.deliver(nobody.recipients[0].0).await, Ok(None));
    assert_eq!(state(&post.client, nobody.recipients[0].0).await.0, "bounced");
    assert_eq!(post.deliver(accepted.recipients[0].0).await, Ok(None));
    assert_eq!(state(&post.client, accepted.recipients[0].0).await.0, "suppressed");
    post.client
        .batch_execute("update mail.suppressions set expires_at = now() - interval '1 s'")
        .await
        .unwrap();
    let later = post.send("nobody@b.example").await;
    post.deliver(later.recipients[0].0).await.unwrap();
    assert_eq!(state(&post.client, later.recipients[0].0).await.0, "bounced");
}

#[tokio::test]
async fn refused_mail_fails_without_suppressing_the_address() {
    let peer = Peer::plain().await;
    let post = TestMail::new(peer.settings()).await;
    let accepted = post.send("spam@b.example").await;
    assert_eq!(post.deliver(accepted.recipients[0].0).await, Ok(None));
    let (state, _, reply) = state(&post.client, accepted.recipients[0].0).await;
    assert_eq!((state.as_str(), reply.as_str()), ("failed", "550 5.7.1 refused as spam"));
    let row = post.client.query_one("select count(*) from mail.suppressions", &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 0);
}

#[tokio::test]
async fn connection_cut_before_the_reply_repeats_the_same_message() {
    let mut peer = Peer::plain().await;
    let post = TestMail::new(peer.settings()).await;
    let recipient = post.send("cut@b.example").await.recipients[0].0;
    assert!(matches!(post.deliver(recipient).await, Err(JobError::RetryAfter(..))));
    assert_eq!(state(&post.client, recipient).await.1, 1, "it counts: otherwise there could be a thousand");
    assert_eq!(post.deliver(recipient).await, Ok(None));
    let (first, second) = (peer.next().await, peer.next().await);
    assert_eq!(first["mime"], second["mime"]);
}

#[tokio::test]
async fn silent_relay_times_out() {
    let peer = Peer::plain().await;
    let post = TestMail::new(MailSettings { relay_timeout: Duration::from_secs(2), ..peer.settings() }).await;
    let recipient = post.send("silent@b.example").await.recipients[0].0;
    let Err(JobError::RetryAfter(_, why)) = post.deliver(recipient).await else { panic!() };
    assert!(why.contains("mail.relay_timeout"), "{why}");
    assert_eq!(state(&post.client, recipient).await.1, 1);
}

#[tokio::test]
async fn unreachable_relay_counts_no_attempt_and_logs_one_line() {
    let settings = {
        let peer = Peer::plain().await;
        peer.settings()
    };
    let mut post = TestMail::new(settings).await;
    let recipient = post.send("ada@b.example").await.recipients[0].0;
    for _ in 0..3 {
        let result = post.deliver(recipient).await;
        assert!(
            matches!(result, Err(JobError::RetryAfter(after, _)) if after < Duration::from_secs(10)),
            "{result:?}"
        );
        post.begin_anew();
    }
    assert_eq!(state(&post.client, recipient).await.1, 0);
    assert_eq!(events(&post.client, recipient).await, ["delayed"]);
}

#[tokio::test]
async fn while_the_relay_is_unreachable_other_mails_are_untouched() {
    let settings = {
        let peer = Peer::plain().await;
        peer.settings()
    };
    let post = TestMail::new(settings).await;
    let first = post.send("ada@b.example").await.recipients[0].0;
    let second = post.send("bob@b.example").await.recipients[0].0;
    assert!(matches!(post.deliver(first).await, Err(JobError::RetryAfter(..))));
    assert_eq!(post.deliver(second).await, Err(JobError::Release));
    assert_eq!(post.delivery.room(), 0, "nor are more asked for");
    assert_eq!(state(&post.client, second).await, ("queued".to_owned(), 0, String::new()));
}

#[tokio::test]
async fn backlog_leaves_in_order_once_the_relay_is_back() {
    let (port, settings) = {
        let peer = Peer::plain().await;
        (peer.port(), peer.settings())
    };
    let post = TestMail::new(settings).await;
    let worker = post.worker().await;
    let mut all = Vec::new();
    for n in 0..30 {
        all.push(post.send(&format!("a{n}@b.example")).await.recipients[0].0);
    }
    worker.wake().wake_for("mail.send");
    let shut = "exists (select from mail.recipients where state = 'delayed')";
    until_true(&post.client, shut).await;
    let mut peer = Peer::at(port).await;
    let mut got = std::collections::BTreeSet::new();
    for _ in 0..30 {
        got.insert(peer.next().await["to"][0].as_str().unwrap().to_owned());
    }
    assert_eq!(got.len(), 30);
    until_true(&post.client, "not exists (select from mail.recipients where state <> 'sent')").await;
    let tried: i64 = {
        let sql = "select count(*) from mail.events where event = 'delayed'";
        post.client.query_one(sql, &[]).await.unwrap().get(0)
    };
    assert!(tried < 15, "{tried} of 30 mails asked a relay that was away");
    worker.stop(Duration::from_secs(10)).await;
}

#[tokio::test]
async fn urgent_mail_is_sent_before_the_others() {
    let post = TestMail::new(nowhere()).await;
    post.send("ada@b.example").await;
    let urgent = NewMail { is_urgent: true, ..mail("bob@b.example") };
    mailer(nowhere()).send(&post.client, &urgent).await.unwrap();
    let sql = "select array_agg(n.priority order by r.position) from jobs.ready r join jobs.partitions n on n.id = r.partition";
    let priorities: Vec<i16> = post.client.query_one(sql, &[]).await.unwrap().get(0);
    assert_eq!(priorities, [5, 0]);
}

#[tokio::test]
async fn cancelled_mail_leaves_no_job_and_a_retried_one_gets_a_new_job() {
    let post = TestMail::new(nowhere()).await;
    let accepted = post.send("ada@b.example").await;
    let jobs = "select count(*) from jobs.ready";
    assert_eq!(history::cancel(&post.client, accepted.id).await.unwrap(), 1);
    assert_eq!(history::cancel(&post.client, accepted.id).await.unwrap(), 0);
    assert_eq!(post.client.query_one(jobs, &[]).await.unwrap().get::<_, i64>(0), 0);
    assert_eq!(state(&post.client, accepted.recipients[0].0).await.0, "failed");
    assert_eq!(history::retry(&post.client, accepted.id).await.unwrap(), 1);
    let known = "select count(*) from mail.recipients r join jobs.ready j on j.id = r.job \
                 where r.state = 'queued' and (j.payload ->> 'recipient')::bigint = r.id";
    assert_eq!(post.client.query_one(known, &[]).await.unwrap().get::<_, i64>(0), 1);
}

#[tokio::test]
async fn mail_whose_job_is_dead_becomes_failed() {
    let post = TestMail::new(nowhere()).await;
    let (first, second) = (post.send("ada@b.example").await, post.send("bob@b.example").await);
    let sql = "select jobs.cancel(job) from mail.recipients where message = $1";
    post.client.execute(sql, &[&first.id]).await.unwrap();
    let worker = post.worker().await;
    // The second is delayed, so that only the sweep runs.
    post.client
        .batch_execute(
            "update jobs.queues set paused = true where name = 'mail'; select jobs.enqueue('mail.sweep')",
        )
        .await
        .unwrap();
    until_true(&post.client, "exists (select from jobs.results)").await;
    let (ended, _, reply) = state(&post.client, first.recipients[0].0).await;
    assert_eq!(
        (ended.as_str(), reply.as_str()),
        ("failed", "its job ended as cancelled: cancelled before it ran")
    );
    assert_eq!(events(&post.client, first.recipients[0].0).await, ["failed"]);
    assert_ne!(state(&post.client, second.recipients[0].0).await.0, "failed");
    worker.stop(Duration::from_secs(10)).await;
}

#[tokio::test]
async fn mail_in_a_final_state_is_not_sent_again() {
    let mut peer = Peer::plain().await;
    let post = TestMail::new(peer.settings()).await;
    let first = post.send("ada@b.example").await.recipients[0].0;
    let second = post.send("bob@b.example").await.recipients[0].0;
    for recipient in [first, first, second] {
        assert_eq!(post.deliver(recipient).await, Ok(None));
    }
    assert_eq!(peer.next().await["to"][0], "ada@b.example");
    assert_eq!(peer.next().await["to"][0], "bob@b.example");
}

#[tokio::test]
async fn interrupted_run_is_continued() {
    let mut peer = Peer::plain().await;
    let post = TestMail::new(peer.settings()).await;
    let recipient = post.send("ada@b.example").await.recipients[0].0;
    post.client.batch_execute("select mail.begin(1, null, null)").await.unwrap();
    assert_eq!(state(&post.client, recipient).await.0, "sending");
    assert_eq!(post.deliver(recipient).await, Ok(None));
    assert_eq!(peer.next().await["to"][0], "ada@b.example");
    assert_eq!(state(&post.client, recipient).await.1, 2);
}

#[tokio::test]
async fn mails_over_the_rate_or_the_cap_get_one_later_slot() {
    let folder = tempfile::tempdir().unwrap();
    let files = MailSettings {
        transport: MailTransport::File,
        file_folder: folder.path().display().to_string(),
        rate_per_minute: Some(2),
        daily_cap: Some(3),
        ..MailSettings::default()
    };
    let post = TestMail::new(files).await;
    let mut waits = Vec::new();
    for _ in 0..4 {
        let recipient = post.send("ada@b.example").await.recipients[0].0;
        waits.push(match post.deliver(recipient).await {
            Ok(_) => 0,
            Err(JobError::RetryAfter(wait, _)) => wait.as_secs_f64().round() as u64,
            Err(other) => panic!("{other}"),
        });
    }
    assert_eq!(waits[0], 0);
    assert!((28..=30).contains(&waits[1]) && (58..=60).contains(&waits[2]), "{waits:?}");
    let sql = "select extract(epoch from (date_trunc('day', now() at time zone 'UTC') + interval '1 day') \
               at time zone 'UTC' - now())::float8";
    let midnight: f64 = post.client.query_one(sql, &[]).await.unwrap().get(0);
    assert!(midnight < 120.0 || (waits[3] as f64 - midnight).abs() < 5.0, "{waits:?} {midnight}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    // Once its slot is due it is sent, and takes no second slot.
    post.client.batch_execute("update mail.recipients set slot_at = now() where id = 2").await.unwrap();
    assert_eq!(post.deliver(2).await, Ok(None));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    let taken: i64 = post.client.query_one("select sum(taken) from mail.days", &[]).await.unwrap().get(0);
    assert_eq!(taken, 4);
}

#[tokio::test]
async fn transport_file_writes_a_file_for_each_recipient() {
    let folder = tempfile::tempdir().unwrap();
    let file_folder = folder.path().display().to_string();
    let files = MailSettings { transport: MailTransport::File, file_folder, ..MailSettings::default() };
    let post = TestMail::new(files.clone()).await;
    let mut both = mail("ada@b.example");
    both.to.push(rowhouse_mail::read_mailbox("to", "bob@b.example").unwrap());
    let accepted = mailer(files).send(&post.client, &both).await.unwrap();
    for (recipient, _) in &accepted.recipients {
        assert_eq!(post.deliver(*recipient).await, Ok(None));
        assert_eq!(state(&post.client, *recipient).await.0, "sent");
    }
    let written: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(written.len(), 2);
    for path in written {
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            path.extension().is_some_and(|ext| ext == "eml") && text.contains("Hello"),
            "{path:?}: {text}"
        );
    }
}

#[tokio::test]
async fn health_names_the_relay_after_three_failures_in_a_row() {
    let post = TestMail::new(nowhere()).await;
    let recipient = post.send("ada@b.example").await.recipients[0].0;
    assert!(matches!(post.deliver(recipient).await, Err(JobError::RetryAfter(..))));
    assert_eq!(post.delivery.check(), Ok(()), "once is not enough");
    // The breaker lets a probe through after a second, and the next after two.
    until("the check fails", LIMIT, async || {
        let _released_or_failed = post.deliver(recipient).await;
        post.delivery.check().is_err()
    })
    .await;
    let found = post.delivery.check().unwrap_err();
    assert!(found.contains("3 times in a row"), "{found}");
}

#[tokio::test]
async fn worker_delivers_what_a_transaction_enqueued() {
    let mut peer = Peer::plain().await;
    let post = TestMail::new(peer.settings()).await;
    let worker = post.worker().await;
    let sender = mailer(peer.settings());
    let mut all = mail("a0@b.example");
    for n in 1..50 {
        all.bcc.push(rowhouse_mail::read_mailbox("bcc", &format!("a{n}@b.example")).unwrap());
    }
    sender.send(&post.client, &all).await.unwrap();
    worker.wake().wake();
    let mut got = std::collections::BTreeSet::new();
    for _ in 0..50 {
        got.insert(peer.next().await["to"][0].as_str().unwrap().to_owned());
    }
    assert_eq!(got.len(), 50);
    worker.stop(Duration::from_secs(10)).await;
    let sql = "select count(*) from mail.recipients where state = 'sent'";
    assert_eq!(post.client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0), 50);
}

#[tokio::test]
async fn mails_past_their_retention_are_deleted_and_no_others() {
    let post = TestMail::new(MailSettings::default()).await;
    for _ in 0..3 {
        post.send("ada@b.example").await;
    }
    let sql = "update mail.messages set created_at = now() - interval '60 days'; \
               update mail.recipients set finished_at = now() - interval '31 days' where id = 1; \
               update mail.recipients set finished_at = null, state = 'delayed' where id = 3; \
               insert into mail.suppressions (address, reason, expires_at) values \
                 ('a@b.example', 'bounce', now() - interval '1 s'), ('c@b.example', 'manual', null); \
               insert into mail.drafts (created_at, message) values (now() - interval '60 days', '{}'), (now(), '{}')";
    post.client.batch_execute(sql).await.unwrap();
    let worker = post.worker().await;
    let enqueue = "select jobs.enqueue('mail.prune')";
    post.client.batch_execute(enqueue).await.unwrap();
    worker.wake().wake();
    until_true(&post.client, "exists (select from jobs.results)").await;
    let left = post.client.query("select id from mail.messages order by id", &[]).await.unwrap();
    assert_eq!(left.iter().map(|row| row.get(0)).collect::<Vec<i64>>(), [2, 3]);
    let kept: i64 =
        post.client.query_one("select count(*) from mail.suppressions", &[]).await.unwrap().get(0);
    assert_eq!(kept, 1);
    let drafts: i64 = post.client.query_one("select count(*) from mail.drafts", &[]).await.unwrap().get(0);
    assert_eq!(drafts, 1);
    worker.stop(Duration::from_secs(10)).await;
}
