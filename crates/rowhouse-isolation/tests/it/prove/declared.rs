//! Schemas without `tenancy.protect` are proven with a declaration alone.

use rowhouse_isolation::prove::{Cell, Plan, prove};
use rowhouse_kernel::settings::{Named, Setting as _};
use rowhouse_testkit::TestDatabase;

use super::support::{plan, proof_of};

/// Rows of users, rows of teams by membership, and rows that everybody who has signed in may read.
const TEAMS: &str = "
create table public.teams (id uuid primary key default gen_random_uuid(), name text not null);
create table public.team_members (team_id uuid not null references public.teams (id), user_id uuid not null, primary key (team_id, user_id));
create table public.documents (id bigint generated always as identity primary key, team_id uuid not null references public.teams (id), body text);
create table public.profiles (id uuid primary key, nickname text);
create function public.my_teams() returns setof uuid language sql stable security definer set search_path = '' as
  $$ select team_id from public.team_members where user_id = auth.uid() $$;
alter table public.teams enable row level security;
alter table public.team_members enable row level security;
alter table public.documents enable row level security;
alter table public.profiles enable row level security;
create policy member on public.teams for select to authenticated using (id in (select public.my_teams()));
create policy own on public.team_members for select to authenticated using (user_id = (select auth.uid()));
create policy team on public.documents to authenticated using (team_id in (select public.my_teams())) with check (team_id in (select public.my_teams()));
create policy read on public.profiles for select to authenticated using (true);
create policy write on public.profiles for update to authenticated using (id = (select auth.uid()));
grant select on public.teams, public.team_members to authenticated;
grant select, insert, update, delete on public.documents to authenticated;
grant select, update on public.profiles to authenticated;";

fn declared() -> Plan {
    let mut plan = plan();
    let table = r#"{
      "teams": {"relation": "public.teams", "column": "id", "is": "tenant"},
      "members": {"relation": "public.team_members", "column": "user_id", "is": "user"},
      "documents": {"relation": "public.documents", "via": "team_id"},
      "profiles": {"relation": "public.profiles", "column": "id", "is": "user", "read": "signed_in"}
    }"#;
    plan.settings.table = Named::from_text(table).unwrap();
    plan.settings.setup = Some(
        "insert into public.teams (id, name) values ('{tenant}', 'prove'); insert into public.team_members values ('{tenant}', '{user}')".to_owned(),
    );
    plan
}

#[tokio::test]
async fn teams_by_membership_are_proven() {
    let db = TestDatabase::create().await;
    db.migrate(TEAMS).await;
    let proof = proof_of(&db, &declared()).await;
    let unproven: Vec<_> = proof.unproven.iter().map(|one| (one.relation.as_str(), one.cell)).collect();
    // It gives the caller's teams: whoever calls it sees nothing of others, whichever rows these have.
    assert_eq!((proof.leaks.as_slice(), unproven), (&[][..], vec![("public.my_teams()", Some(Cell::Call))]));
    assert_eq!(proof.coverage.proven, 4);
}

/// As starters for one user per row have it: a trigger makes everybody's profile, also of those without a tenant.
#[tokio::test]
async fn rows_that_a_sign_up_makes_are_their_users_own() {
    let db = TestDatabase::create().await;
    db.migrate(TEAMS).await;
    let superuser = db.superuser().await;
    superuser
        .batch_execute(
            "create function public.make_profile() returns trigger language plpgsql security definer set search_path = '' as
               $$ begin insert into public.profiles (id, nickname) values (new.id, 'new'); return null; end $$;
             revoke execute on function public.make_profile() from public;
             create trigger make_profile after insert on auth.users for each row execute function public.make_profile()",
        )
        .await
        .unwrap();
    let proof = proof_of(&db, &declared()).await;
    assert_eq!((proof.leaks.as_slice(), proof.coverage.proven), (&[][..], 4), "{:#?}", proof.unproven);
}

#[tokio::test]
async fn hole_in_a_foreign_schema_is_found() {
    let db = TestDatabase::create().await;
    db.migrate(TEAMS).await;
    db.migrate("alter policy team on public.documents with check ((select auth.uid()) is not null); alter policy write on public.profiles using (true)").await;
    let proof = proof_of(&db, &declared()).await;
    let found: std::collections::BTreeSet<_> =
        proof.leaks.iter().map(|leak| (leak.relation.as_str(), leak.cell)).collect();
    for leak in [
        ("public.documents", Cell::Insert),
        ("public.documents", Cell::Move),
        ("public.profiles", Cell::Update),
        ("public.profiles", Cell::UpdateAll),
    ] {
        assert!(found.contains(&leak), "{leak:?} in {found:?}");
    }
}

#[tokio::test]
async fn declaration_of_what_does_not_exist_is_named() {
    let db = TestDatabase::create().await;
    let client = rowhouse_db::connect(&db.urls.control).await.unwrap();
    let error = prove(&client, &declared(), &|_, _, _| {}).await.unwrap_err();
    assert!(error.to_string().contains("public.teams"), "{error}");
}
