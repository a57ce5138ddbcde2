//! Sealing: every entry once, whatever its transaction, the sealers and the processes do.

use rowhouse_audit::{Entry, Report, WITHOUT_ORGANIZATION, seal, write, write_about};
use rowhouse_kernel::TenantId;
use rowhouse_testkit::{LIMIT, until};
use serde_json::{Map, json};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::{ONE, OTHER, count, entry, newest, owner, seal_all, start, verify};

const WRITERS: usize = 8;
const ENTRIES: usize = 40;

#[tokio::test]
async fn entry_is_sealed_once_whichever_transaction_commits_first() {
    let database = start().await;
    let (slow, quick) = (owner(&database).await, owner(&database).await);
    slow.batch_execute("begin").await.unwrap();
    write(&slow, entry(json!({ "n": 1 }))).await.unwrap();
    write(&quick, entry(json!({ "n": 2 }))).await.unwrap();
    assert_eq!(seal(&quick).await.unwrap().sealed, 1, "one that is not committed holds nobody up");
    slow.batch_execute("commit").await.unwrap();
    let step = seal(&quick).await.unwrap();
    assert_eq!((step.sealed, step.waiting_seconds), (1, 0.0));
    assert_eq!(seal(&quick).await.unwrap().sealed, 0);
    let sql = "select string_agg(e.details ->> 'n', ' ' order by c.sequence) from audit.chain c join audit.entries e on e.id = c.entry_id";
    assert_eq!(quick.query_one(sql, &[]).await.unwrap().get::<_, String>(0), "2 1");
    assert_eq!(verify(&quick, None, &[]).await, Report { chains: 1, links: 2, ..Report::default() });
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_and_sealers_at_once_leave_whole_chains() {
    let database = start().await;
    let (reader, mut writing) = (owner(&database).await, tokio::task::JoinSet::new());
    for writer in 0..WRITERS {
        let client = owner(&database).await;
        writing.spawn(async move { write_many(&client, writer).await });
    }
    let (one, two, three) = (owner(&database).await, owner(&database).await, owner(&database).await);
    tokio::join!(writing.join_all(), seal_until_done(&one), seal_until_done(&two), seal_until_done(&three));
    let report = verify(&reader, None, &[]).await;
    assert_eq!(report, Report { chains: 3, links: count(&reader).await, ..Report::default() });
    assert_eq!(report.links, (WRITERS * ENTRIES) as i64);
}

async fn seal_until_done(client: &Client) {
    let is_done = async || {
        seal(client).await.unwrap();
        let sql = "select count(*) from audit.chain";
        client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == (WRITERS * ENTRIES) as i64
    };
    until("all are sealed", LIMIT, is_done).await;
}

/// Entries of three chains, one or several in a transaction; some are rolled back.
async fn write_many(client: &Client, writer: usize) {
    for number in 0..ENTRIES {
        let details = json!({ "writer": writer, "number": number });
        if number % 8 == 0 {
            client.batch_execute("begin").await.unwrap();
            write(client, entry(details.clone())).await.unwrap();
            client.batch_execute("rollback").await.unwrap();
        }
        if number % 4 == 0 {
            client.batch_execute("begin").await.unwrap();
        }
        match number % 3 {
            0 => write(client, entry(details)).await.unwrap(),
            1 => write_about(client, ONE, entry(details)).await.unwrap(),
            _ => write_about(client, OTHER, entry(details)).await.unwrap(),
        };
        if number % 4 == 3 {
            client.batch_execute("commit").await.unwrap();
        }
    }
}

#[tokio::test]
async fn sealer_that_dies_in_a_step_leaves_nothing_of_it() {
    let database = start().await;
    let (dying, other) = (owner(&database).await, owner(&database).await);
    write(&other, entry(json!({}))).await.unwrap();
    dying.batch_execute("begin").await.unwrap();
    assert_eq!(seal(&dying).await.unwrap().sealed, 1);
    let step = seal(&other).await.unwrap();
    assert!(step.sealed == 0 && step.waiting_seconds > 0.0, "{step:?}");
    let pid: i32 = dying.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
    let admin = database.superuser().await;
    admin.execute("select pg_terminate_backend($1, 10000)", &[&pid]).await.unwrap();
    assert_eq!(seal(&other).await.unwrap().sealed, 1);
    assert_eq!(verify(&other, None, &[]).await, Report { chains: 1, links: 1, ..Report::default() });
}

#[tokio::test]
async fn entry_belongs_to_its_tenants_organization_or_to_the_one_that_is_named() {
    let database = start().await;
    let client = owner(&database).await;
    let (tenant, elsewhere) = (TenantId(Uuid::from_u128(71)), Uuid::from_u128(72));
    let hook = format!(
        "set role rowhouse_owner; create or replace function audit.organization_of(tenant uuid) returns uuid language sql stable as \
         $$ select case when tenant = '{tenant}' then '{ONE}'::uuid end $$; reset role"
    );
    client.batch_execute(&hook).await.unwrap();
    client
        .batch_execute(&format!("begin; select set_config('rowhouse.tenant', '{elsewhere}', true)"))
        .await
        .unwrap();
    let about = |action, tenant| Entry {
        source: "test",
        action,
        target_kind: "thing",
        target_id: "7",
        tenant,
        details: Map::new(),
    };
    write(&client, about("tenant", Some(tenant))).await.unwrap();
    write(&client, about("transaction", None)).await.unwrap();
    write_about(&client, OTHER, about("organization", None)).await.unwrap();
    client.batch_execute("commit").await.unwrap();
    let sql = "select e.action, e.organization_id, e.tenant_id from audit.entries e order by e.action";
    let rows = client.query(sql, &[]).await.unwrap();
    let rows: Vec<(String, Option<Uuid>, Option<Uuid>)> =
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    let expected = [
        ("organization", Some(OTHER.0), None),
        ("tenant", Some(ONE.0), Some(tenant.0)),
        ("transaction", None, Some(elsewhere)),
    ];
    assert_eq!(
        rows,
        expected.map(|(action, organization, tenant)| (action.to_owned(), organization, tenant))
    );
    seal_all(&client).await;
    let chains: Vec<_> = newest(&client, None).await.iter().map(|link| link.organization_id).collect();
    assert_eq!(chains, [WITHOUT_ORGANIZATION, ONE, OTHER]);
}
