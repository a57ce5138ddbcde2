//! What a process has to hold in memory is bounded.

use rowhouse_flag::{CHANNEL, Flags, Subject};
use rowhouse_kernel::UserId;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::support::World;

const FLAG: &str =
    "insert into flags.flags (name, kind, owner, default_value) values ('x', 'boolean', 'test', 'off')";

async fn refused(client: &Client, sql: &str) -> String {
    let error = client.batch_execute(sql).await.unwrap_err();
    error
        .as_db_error()
        .map(|error| format!("{} {}", error.code().code(), error.message()))
        .unwrap_or_default()
}

#[tokio::test]
async fn more_flags_targets_and_overrides_than_fit_are_refused() {
    let world = World::new().await;
    let flags = "insert into flags.flags (name, kind, owner, default_value)
                 select 'f' || n, 'boolean', 'test', 'off' from generate_series(1, 1001) n";
    assert_eq!(refused(&world.client, flags).await, "54000 there are at most 1000 flags");
    world.client.batch_execute(&flags.replace("1001", "25")).await.unwrap();
    let rules = "insert into flags.rules (flag, position, users, value)
                 select f.name, n, array(select gen_random_uuid() from generate_series(1, 100)), 'on'
                 from flags.flags f, generate_series(1, 50) n";
    let message = "54000 all rules together name at most 100000 ids and plans";
    assert_eq!(refused(&world.client, rules).await, message);
    let position =
        "insert into flags.rules (flag, position, plans, value) values ('f1', 51, array['pro'], 'on')";
    assert!(refused(&world.client, position).await.starts_with("23514"));
}

/// Loaded in a second and held in some megabytes; the figures are printed with --nocapture.
#[tokio::test]
async fn hundred_thousand_overrides_are_held_in_some_megabytes() {
    let world = World::new().await;
    world.client.batch_execute(FLAG).await.unwrap();
    // Without the triggers of sign-ups and the references: only the overrides are of interest.
    let sql = "set session_replication_role = replica;
        insert into flags.overrides (flag, user_id, value)
        select 'x', ('00000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid, 'on' from generate_series(1, 100000) n;
        reset session_replication_role";
    world.client.batch_execute(sql).await.unwrap();
    let flags = Flags::default();
    let before = resident_kilobytes();
    let begun = std::time::Instant::now();
    flags.reload(&world.client).await.unwrap();
    let (took, grown) = (begun.elapsed(), resident_kilobytes().saturating_sub(before));
    eprintln!("100000 overrides: {took:?}, {grown} KiB");
    assert!(grown < 40 * 1024, "{grown} KiB");
    let of = |number: u32| {
        let id = Uuid::parse_str(&format!("00000000-0000-0000-0000-{number:012}")).unwrap();
        Subject { user: Some(UserId(id)), ..Subject::default() }
    };
    assert!(flags.is_enabled("x", &of(1)) && flags.is_enabled("x", &of(100_000)));
    assert!(!flags.is_enabled("x", &of(100_001)));
}

fn resident_kilobytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn every_table_notifies_and_the_plan_of_a_tenant_that_a_rule_names() {
    let world = World::new().await;
    let (client, mut connection) =
        tokio_postgres::connect(world.database.urls.control.expose(), tokio_postgres::NoTls).await.unwrap();
    let (sender, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let forwarding = async move {
        let mut messages =
            std::pin::pin!(futures_util::stream::poll_fn(|context| connection.poll_message(context)));
        while let Some(Ok(message)) = futures_util::StreamExt::next(&mut messages).await {
            if let tokio_postgres::AsyncMessage::Notification(note) = message {
                let _closed = sender.send(note.channel().to_owned());
            }
        }
    };
    tokio::spawn(forwarding);
    client.batch_execute(&format!("listen {CHANNEL}")).await.unwrap();
    let user = world.users[0];
    for change in [
        FLAG.to_owned(),
        "update flags.flags set percentage = 5".to_owned(),
        "insert into flags.rules (flag, position, plans, value) values ('x', 1, array['pro'], 'on')"
            .to_owned(),
        "update tenancy.tenants set plan = 'team' where plan = 'pro'".to_owned(),
        format!("insert into flags.overrides (flag, user_id, value) values ('x', '{user}', 'on')"),
        format!("delete from auth.users where id = '{user}'"),
        "delete from flags.flags".to_owned(),
    ] {
        world.client.batch_execute(&change).await.unwrap();
        let channel = rowhouse_testkit::in_time(&change, heard.recv()).await;
        assert_eq!(channel.as_deref(), Some(CHANNEL), "{change}");
    }
}
