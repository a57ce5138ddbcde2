//! What becomes of claims in the schema: one owner at a time, and none for what was deleted.

use futures_util::future::join_all;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::support::{Harness, TOKEN, tenant};

async fn pending(client: &Client, tenant: Uuid, name: &str) -> Uuid {
    let sql = "insert into domains.claims (id, organization_id, tenant_id, name, proof, challenge)
               select gen_random_uuid(), t.organization_id, t.id, $2, 'dns_txt', $3
               from tenancy.tenants t where t.id = $1 returning id";
    client.query_one(sql, &[&tenant, &name, &TOKEN]).await.unwrap().get(0)
}

async fn confirm(client: &Client, claim: Uuid) -> String {
    client.query_one("select domains.confirm($1, '1 hour')", &[&claim]).await.unwrap().get(0)
}

#[tokio::test]
async fn of_all_that_prove_a_name_at_once_one_owns_it() {
    let harness = Harness::new().await;
    let mut claims = Vec::new();
    for number in 0..8 {
        let tenant = tenant(&harness.client, &format!("owner{number}@example.com")).await;
        claims.push((pending(&harness.client, tenant, "a.example").await, harness.db.superuser().await));
    }
    let proved = join_all(claims.iter().map(|(claim, client)| confirm(client, *claim))).await;
    assert_eq!(proved.iter().filter(|one| *one == "verified").count(), 1, "{proved:?}");
    assert_eq!(proved.iter().filter(|one| *one == "taken").count(), 7, "{proved:?}");
    let holder = &claims[proved.iter().position(|one| one == "verified").unwrap()];
    assert_eq!(confirm(&harness.client, holder.0).await, "confirmed");
    let sql = "select next_check_at <= clock_timestamp() from domains.claims where id = $1";
    let other = claims.iter().find(|(claim, _)| *claim != holder.0).unwrap();
    assert_eq!(confirm(&harness.client, other.0).await, "taken");
    let is_due: bool = harness.client.query_one(sql, &[&holder.0]).await.unwrap().get(0);
    assert!(is_due, "the holder's proof is looked for at once");
    harness.client.query_one("select domains.release($1, 'test')", &[&holder.0]).await.unwrap();
    assert_eq!(confirm(&harness.client, other.0).await, "verified");
    assert_eq!(confirm(&harness.client, holder.0).await, "gone");
}

#[tokio::test]
async fn second_verified_claim_is_refused_whoever_writes_it() {
    let harness = Harness::new().await;
    harness.claim("a.example", "dns_txt").await;
    let other = tenant(&harness.client, "other@example.com").await;
    let claim = pending(&harness.client, other, "a.example").await;
    let sql = "update domains.claims set status = 'verified' where id = $1";
    assert!(harness.client.execute(sql, &[&claim]).await.is_err());
}

#[tokio::test]
async fn deleted_tenant_has_no_domains_and_an_erased_one_not_even_names() {
    let harness = Harness::new().await;
    let claim = harness.claim("a.example", "dns_txt").await;
    assert_eq!(harness.owner_of("a.example").await, Some(harness.tenant));
    let set = async |status: &str| {
        let sql = "update tenancy.tenants set status = $1 where id = $2";
        harness.client.execute(sql, &[&status, &harness.tenant]).await.unwrap();
    };
    set("suspended").await;
    assert_eq!(harness.owner_of("a.example").await, None, "closed");
    set("active").await;
    assert_eq!(harness.owner_of("a.example").await, Some(harness.tenant));
    set("deleted").await;
    assert_eq!(harness.state(claim).await.0, "released");
    assert_eq!(harness.events().await, ["domains.domain_released"]);
    set("erased").await;
    let sql = "select count(*) from domains.claims";
    assert_eq!(harness.client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0), 0);
    let sql = "select count(*) from audit.entries where source = 'domains' and tenant_id = $1";
    assert_eq!(harness.client.query_one(sql, &[&harness.tenant]).await.unwrap().get::<_, i64>(0), 1);
}

#[tokio::test]
async fn deleted_organization_releases_the_domains_of_its_tenants() {
    let harness = Harness::new().await;
    let claim = harness.claim("a.example", "dns_txt").await;
    let sql = "update tenancy.organizations set status = 'deleted'";
    harness.client.batch_execute(sql).await.unwrap();
    assert_eq!(harness.state(claim).await.0, "released");
}

#[tokio::test]
async fn claims_that_nobody_proves_end_and_released_ones_go_in_time() {
    let harness = Harness::new().await;
    let old = pending(&harness.client, harness.tenant, "old.example").await;
    pending(&harness.client, harness.tenant, "new.example").await;
    let gone = harness.claim("gone.example", "dns_txt").await;
    harness.client.query_one("select domains.release($1, 'test')", &[&gone]).await.unwrap();
    let sql = "update domains.claims set updated_at = now() - interval '2 days' where name <> 'new.example'";
    harness.client.batch_execute(sql).await.unwrap();
    let prune = async || -> i64 {
        let sql = "select domains.prune(array[86400, 86400])";
        harness.client.query_one(sql, &[]).await.unwrap().get(0)
    };
    assert_eq!((prune().await, prune().await), (2, 0));
    let failed = ("failed".to_owned(), Some("it was not proved in time".to_owned()));
    assert_eq!(harness.state(old).await, failed);
    let sql = "select string_agg(name || ' ' || status, ', ' order by name) from domains.claims";
    let left: String = harness.client.query_one(sql, &[]).await.unwrap().get(0);
    assert_eq!(left, "new.example pending, old.example failed");
}
