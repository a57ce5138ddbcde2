//! Tables of another owner, which the login of the proof may not read.

use rowhouse_isolation::prove::Plan;
use rowhouse_kernel::settings::{Named, Setting as _};

use super::support::{plan, proof_of, with};

const LEGACY: &str = "
create table public.legacy (id bigint generated always as identity primary key, tenant_id uuid not null, body text not null);
create table public.unused (id int primary key);
alter table public.legacy enable row level security;
create policy tenant on public.legacy to authenticated
  using (tenant_id = (select auth.tenant_id())) with check (tenant_id = (select auth.tenant_id()));
grant select, insert, update, delete on public.legacy to authenticated;";

fn declared() -> Plan {
    let mut plan = plan();
    let table = r#"{"legacy": {"relation": "public.legacy", "column": "tenant_id"}}"#;
    plan.settings.table = Named::from_text(table).unwrap();
    plan
}

#[tokio::test]
async fn table_of_another_owner_is_unproven_with_the_remedy_and_the_others_are_proven() {
    let db = with("").await;
    let alone = proof_of(&db, &plan()).await;
    let admin = db.superuser().await;
    admin.batch_execute(LEGACY).await.unwrap();
    let proof = proof_of(&db, &declared()).await;
    assert_eq!((&proof.leaks, proof.unproven.len()), (&vec![], 1), "{:?}", proof.unproven);
    let unproven = &proof.unproven[0];
    let grant = "as postgres: grant usage on schema public to rowhouse; grant select, insert, update, delete on public.legacy to rowhouse";
    assert_eq!((unproven.relation.as_str(), unproven.cell), ("public.legacy", None));
    assert!(
        unproven.reason.contains("rowhouse migrate adopt --schema public")
            && unproven.reason.ends_with(grant),
        "{unproven:?}"
    );
    assert_eq!(proof.coverage.proven, alone.coverage.proven);
    admin.batch_execute(&grant["as postgres: ".len()..]).await.unwrap();
    let granted = proof_of(&db, &declared()).await;
    assert!(
        granted.unproven.iter().all(|one| !one.reason.contains("may not read it")),
        "{:?}",
        granted.unproven
    );
}
