//! Removal past the retention: from the beginning of a chain only, with a checkpoint; nothing else removes anything.

use rowhouse_audit::{
    Link, Problem, Report, WITHOUT_ORGANIZATION, find_retention, seal, set_retention, write_about,
};
use rowhouse_kernel::OrganizationId;
use serde_json::json;
use tokio_postgres::Client;

use crate::{ONE, OTHER, count, entry, newest, owner, refusal, seal_all, start, verify, write_old};

/// A year, and 90 days at least.
async fn prune(client: &Client) -> i64 {
    client.query_one("select audit.prune('{31536000, 7776000}')", &[]).await.unwrap().get(0)
}

async fn link(client: &Client, organization: OrganizationId, sequence: i64) -> Link {
    let sql =
        "select encode(c.hash, 'hex') from audit.chain c where c.organization_id = $1 and c.sequence = $2";
    let hash = client.query_one(sql, &[&organization.0, &sequence]).await.unwrap().get(0);
    Link { organization_id: organization, sequence, hash }
}

#[tokio::test]
async fn chain_is_verified_after_its_beginning_is_removed() {
    let database = start().await;
    let client = owner(&database).await;
    write_old(&client, ONE, 5, 400).await;
    write_old(&client, ONE, 3, 10).await;
    // Younger than what follows it: the rest stays, so that the chain has no hole.
    write_old(&client, ONE, 1, 400).await;
    write_old(&client, OTHER, 4, 400).await;
    set_retention(&client, OTHER, Some(700)).await.unwrap();
    seal_all(&client).await;
    let kept = [link(&client, ONE, 2).await, link(&client, ONE, 5).await, link(&client, ONE, 9).await];
    let ends = newest(&client, None).await;
    assert_eq!((prune(&client).await, prune(&client).await), (5, 0));
    assert_eq!((newest(&client, None).await, count(&client).await), (ends, 8));
    assert_eq!(verify(&client, None, &kept[1..]).await, Report { chains: 2, links: 8, ..Report::default() });
    let pruned = verify(&client, None, &kept).await;
    let problems: Vec<_> = pruned.findings.iter().map(|found| (found.problem, found.sequence)).collect();
    assert_eq!(problems, [(Problem::ExpectedLinkPruned, Some(2))]);
    write_about(&client, ONE, entry(json!({}))).await.unwrap();
    seal_all(&client).await;
    assert_eq!(newest(&client, Some(ONE)).await[0].sequence, 10);
    assert!(verify(&client, None, &kept[1..]).await.is_intact());
}

#[tokio::test]
async fn chain_without_links_goes_on_from_its_checkpoint() {
    let database = start().await;
    let client = owner(&database).await;
    write_old(&client, WITHOUT_ORGANIZATION, 3, 400).await;
    seal_all(&client).await;
    let end = newest(&client, None).await;
    assert_eq!((prune(&client).await, count(&client).await), (3, 0));
    assert_eq!((newest(&client, None).await, end[0].sequence), (end.clone(), 3));
    assert_eq!(verify(&client, None, &end).await, Report::default());
    write_old(&client, WITHOUT_ORGANIZATION, 1, 0).await;
    seal_all(&client).await;
    assert_eq!(verify(&client, None, &end).await, Report { chains: 1, links: 1, ..Report::default() });
    assert_eq!(newest(&client, None).await[0].sequence, 4);
}

#[tokio::test]
async fn organizations_own_retention_has_a_minimum() {
    let database = start().await;
    let client = owner(&database).await;
    write_old(&client, ONE, 2, 100).await;
    write_old(&client, ONE, 2, 10).await;
    seal_all(&client).await;
    assert_eq!((find_retention(&client, ONE).await.unwrap(), prune(&client).await), (None, 0));
    set_retention(&client, ONE, Some(1)).await.unwrap();
    assert_eq!((find_retention(&client, ONE).await.unwrap(), prune(&client).await), (Some(1), 2));
    set_retention(&client, ONE, None).await.unwrap();
    assert_eq!(find_retention(&client, ONE).await.unwrap(), None);
    assert_eq!(set_retention(&client, ONE, Some(0)).await.unwrap_err().code(), Some("23514"));
}

#[tokio::test]
async fn long_chain_is_removed_in_bounded_steps() {
    let database = start().await;
    let client = owner(&database).await;
    write_old(&client, ONE, 5_400, 400).await;
    write_old(&client, OTHER, 300, 400).await;
    assert_eq!(seal(&client).await.unwrap().sealed, 1_000);
    seal_all(&client).await;
    assert_eq!((prune(&client).await, prune(&client).await, prune(&client).await), (5_000, 700, 0));
    assert!(verify(&client, None, &[]).await.is_intact());
}

#[tokio::test]
async fn nobody_removes_or_changes_what_no_checkpoint_covers() {
    let database = start().await;
    let client = owner(&database).await;
    write_old(&client, ONE, 3, 0).await;
    seal_all(&client).await;
    let checkpoint = |hash: &str| {
        format!(
            "insert into audit.checkpoints (organization_id, sequence, hash) select '{ONE}', 3, {hash} from audit.chain where sequence = 3"
        )
    };
    let tries = [
        "delete from audit.entries".to_owned(),
        "begin; set local audit.is_pruning = 'on'; delete from audit.entries".to_owned(),
        "delete from audit.chain".to_owned(),
        "update audit.chain set hash = sha256('x')".to_owned(),
        "truncate audit.chain".to_owned(),
        "truncate audit.entries cascade".to_owned(),
        checkpoint("hash"),
        checkpoint("sha256('x')"),
    ];
    let admin = database.superuser().await;
    for sql in &tries {
        for client in [&client, &admin] {
            assert_eq!(refusal(client, sql).await, "42501", "{sql}");
            client.batch_execute("rollback").await.unwrap();
        }
        admin.batch_execute("set role service_role").await.unwrap();
        assert_eq!(refusal(&admin, sql).await, "42501", "as service_role: {sql}");
        admin.batch_execute("rollback; reset role").await.unwrap();
    }
    // Nothing old: pruning removes none of the last day, whatever age it is given.
    assert_eq!(client.query_one("select audit.prune('{0, 0}')", &[]).await.unwrap().get::<_, i64>(0), 0);
    write_old(&client, OTHER, 2, 400).await;
    seal_all(&client).await;
    prune(&client).await;
    for sql in ["delete from audit.checkpoints", "truncate audit.checkpoints"] {
        assert_eq!(refusal(&client, sql).await, "42501", "{sql}");
    }
    assert_eq!(verify(&client, None, &[]).await, Report { chains: 1, links: 3, ..Report::default() });
}
