use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rowhouse_db::{Control, DbSettings};
use rowhouse_kernel::{Origin, SharedClock, SystemClock};
use rowhouse_tenancy::user_sync::{Trigger, UserSync};
use rowhouse_testkit::{TestDatabase, in_time, until_true};
use tokio_postgres::Client;

use super::{Done, Maker, Profile, last, restore_trigger};

struct Harness {
    db: TestDatabase,
    control: Control,
    origin: Origin,
    client: Client,
}

async fn harness() -> Harness {
    let db = TestDatabase::create().await;
    let control = Control::open(&db.urls.control, &DbSettings::default()).unwrap();
    let clock: SharedClock = Arc::new(SystemClock);
    let client = db.superuser().await;
    Harness { db, control, origin: Origin::operator("test", &clock), client }
}

impl Harness {
    async fn sql(&self, sql: &str) {
        self.client.batch_execute(sql).await.unwrap();
    }

    /// Users whose sign-up had no trigger.
    async fn users_without_trigger(&self, count: u32) {
        self.sql(&format!(
            "alter table auth.users disable trigger on_auth_user_created;
             insert into auth.users (id, email) select gen_random_uuid(), 'u' || n || '@example.com' from generate_series(1, {count}) n;
             alter table auth.users enable trigger on_auth_user_created"
        ))
        .await;
    }

    async fn sync_as(&self, profile: &Profile) -> Done {
        let maker = Maker { control: &self.control, origin: &self.origin, profile };
        in_time("the sync", maker.make_all(0, &AtomicBool::new(false))).await.unwrap()
    }

    async fn sync(&self) -> Done {
        self.sync_as(&Profile::default()).await
    }

    async fn text(&self, sql: &str) -> String {
        self.client.query_one(sql, &[]).await.unwrap().get(0)
    }

    async fn measure(&self) -> UserSync {
        UserSync::measure(&self.client).await.unwrap()
    }
}

#[tokio::test]
async fn missing_profiles_are_made_once_and_as_a_sign_up_makes_them() {
    let harness = harness().await;
    harness.sql("insert into auth.users (id, email) values (gen_random_uuid(), 'first@example.com')").await;
    harness.users_without_trigger(1001).await;
    let before = harness.measure().await;
    assert_eq!((before.missing_profiles, before.total_profiles, before.status), (1001, 1, "degraded"));
    let first = harness.sync().await;
    assert_eq!((first.created, first.created_ids.len(), first.failed), (1001, 1001, 0));
    let second = harness.sync().await;
    assert_eq!((second.created, second.failed), (0, 0));
    assert!(harness.measure().await.is_complete());
    let kinds =
        "select string_agg(distinct concat_ws(' ', p.role, p.is_active, m.role, t.slug, o.is_personal, om.role), ', ')
                 from auth.users u join tenancy.user_profiles p on p.user_id = u.id
                 join tenancy.memberships m on m.user_id = u.id join tenancy.tenants t on t.id = m.tenant_id
                 join tenancy.organizations o on o.id = t.organization_id
                 join tenancy.organization_members om on om.organization_id = o.id and om.user_id = u.id";
    assert_eq!(harness.text(kinds).await, "member t owner default t owner", "trigger and sync agree");
    let tenants = "select count(*)::text from tenancy.memberships where role = 'owner'";
    assert_eq!(harness.text(tenants).await, "1002");
    let kept = last(&harness.client).await.unwrap().unwrap();
    assert_eq!(kept.details["created_profiles"], 0);
}

#[tokio::test]
async fn tenants_of_others_are_not_read() {
    let harness = harness().await;
    // The planner knows no tenant of this slug yet.
    harness
        .sql(
            "set session_replication_role = replica;
             insert into tenancy.organizations (name, slug) select 'o', 'o-' || n from generate_series(1, 5000) n;
             insert into tenancy.tenants (organization_id, name, slug) select o.id, 'd', o.slug from tenancy.organizations o;
             analyze tenancy.organizations, tenancy.tenants;
             insert into tenancy.tenants (organization_id, name, slug) select o.id, 'd', 'default' from tenancy.organizations o;
             set session_replication_role = origin",
        )
        .await;
    harness.users_without_trigger(100).await;
    let read = "select s.seq_tup_read + s.idx_tup_fetch from pg_stat_xact_all_tables s where s.relid = 'tenancy.tenants'::regclass";
    harness.sql("begin").await;
    let before: i64 = harness.client.query_one(read, &[]).await.unwrap().get(0);
    let made = "select tenancy.open_personal_organizations(array(select u.id from auth.users u))::text";
    assert_eq!(harness.text(made).await, "100");
    let after: i64 = harness.client.query_one(read, &[]).await.unwrap().get(0);
    harness.sql("rollback").await;
    assert!(after - before <= 1000, "{} rows of tenants were read for 100 users", after - before);
}

#[tokio::test]
async fn existing_profile_keeps_every_field() {
    let harness = harness().await;
    harness
        .sql(
            "insert into auth.users (id, email) values (gen_random_uuid(), 'first@example.com');
             update tenancy.user_profiles set role = 'viewer', is_active = false, full_name = 'Ada', last_login = now(),
               deactivated_at = now(), deactivation_reason = 'left', deactivated_by = gen_random_uuid(), created_at = '2020-01-01'",
        )
        .await;
    harness.users_without_trigger(1).await;
    let first = "select to_jsonb(p)::text from tenancy.user_profiles p where full_name = 'Ada'";
    let before = harness.text(first).await;
    let profile = Profile { role: Some("admin".to_owned()), is_inactive: true };
    assert_eq!(harness.sync_as(&profile).await.created, 1);
    assert_eq!(harness.text(first).await, before);
    let other = "select role || ' ' || is_active from tenancy.user_profiles where full_name is null";
    assert_eq!(harness.text(other).await, "admin false");
}

#[tokio::test]
async fn deleted_user_gets_an_inactive_profile_and_an_invited_one_no_tenant() {
    let harness = harness().await;
    harness.users_without_trigger(2).await;
    harness
        .sql(
            "update auth.users set deleted_at = now() where email = 'u1@example.com';
             update auth.users set invited_at = now() where email = 'u2@example.com'",
        )
        .await;
    assert_eq!(harness.sync().await.created, 2);
    let profiles = "select string_agg(u.email || ' ' || p.is_active, ', ' order by u.email)
                    from auth.users u join tenancy.user_profiles p on p.user_id = u.id";
    assert_eq!(harness.text(profiles).await, "u1@example.com false, u2@example.com true");
    assert_eq!(harness.text("select count(*)::text from tenancy.tenants").await, "0");
}

#[tokio::test]
async fn failure_of_one_user_is_counted_and_the_others_get_their_profile() {
    let harness = harness().await;
    harness.users_without_trigger(3).await;
    harness
        .sql(
            "create function public.refuse() returns trigger language plpgsql as $$
             begin if exists (select from auth.users u where u.id = new.user_id and u.email = 'u2@example.com') then
               raise exception 'not this one'; end if; return new; end $$;
             create trigger refuse before insert on tenancy.user_profiles for each row execute function public.refuse()",
        )
        .await;
    let done = harness.sync().await;
    assert_eq!((done.created, done.failed, done.errors.len()), (2, 1, 1));
    let failed = harness.text("select id::text from auth.users where email = 'u2@example.com'").await;
    assert!(done.errors[0].contains(&failed) && done.errors[0].contains("not this one"), "{:?}", done.errors);
    assert_eq!(harness.measure().await.missing_profiles, 1);
    let kept = last(&harness.client).await.unwrap().unwrap();
    assert_eq!(
        (&kept.details["created_profiles"], &kept.details["failed_creations"]),
        (&2.into(), &1.into())
    );
}

#[tokio::test]
async fn two_syncs_and_sign_ups_beside_them_make_every_profile_once() {
    let harness = harness().await;
    harness.users_without_trigger(2500).await;
    let beside = harness.db.superuser().await;
    let sign_ups = async {
        for _ in 0..50 {
            let sign_up = "insert into auth.users (id, email) values (gen_random_uuid(), gen_random_uuid() || '@example.com')";
            beside.batch_execute(sign_up).await.unwrap();
        }
    };
    let (one, other, ()) =
        in_time("all", async { tokio::join!(harness.sync(), harness.sync(), sign_ups) }).await;
    assert_eq!((one.created + other.created, one.failed + other.failed), (2500, 0));
    let after = harness.measure().await;
    assert_eq!((after.total_profiles, after.missing_profiles), (2550, 0));
    let tenants = "select count(*)::text from tenancy.tenants";
    assert_eq!(harness.text(tenants).await, "2550");
}

/// The sync's page waits for the deletion, which commits: the profile's reference is refused.
#[tokio::test]
async fn user_who_is_deleted_meanwhile_is_no_failure() {
    let harness = harness().await;
    harness.users_without_trigger(2).await;
    let deleting = harness.db.superuser().await;
    deleting.batch_execute("begin; delete from auth.users where email = 'u1@example.com'").await.unwrap();
    let commit = async {
        let waits = "exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')";
        until_true(&harness.client, waits).await;
        deleting.batch_execute("commit").await.unwrap();
    };
    let (done, ()) = tokio::join!(harness.sync(), commit);
    assert_eq!((done.created, done.failed, done.errors), (1, 0, Vec::new()));
    assert_eq!(harness.measure().await.total_auth_users, 1);
}

#[tokio::test]
async fn sync_holds_no_sign_up_up() {
    let harness = harness().await;
    harness.users_without_trigger(1).await;
    let page = harness.db.superuser().await;
    page.batch_execute("begin; select tenancy.create_profiles(array(select id from auth.users))")
        .await
        .unwrap();
    let sign_up = "set statement_timeout = '20s';
        insert into auth.users (id, email) values (gen_random_uuid(), 'new@example.com')";
    in_time("a sign-up while a page is open", harness.sql(sign_up)).await;
    page.batch_execute("rollback").await.unwrap();
    assert_eq!(harness.sync().await.created, 1);
}

#[tokio::test]
async fn interrupted_sync_ends_with_what_it_has_and_the_next_one_continues() {
    let harness = harness().await;
    harness.users_without_trigger(3).await;
    let maker = Maker { control: &harness.control, origin: &harness.origin, profile: &Profile::default() };
    let done = maker.make_all(3, &AtomicBool::new(true)).await.unwrap();
    assert_eq!((done.created, done.is_interrupted), (0, true));
    assert_eq!(harness.sync().await.created, 3);
}

#[tokio::test]
async fn missing_disabled_and_foreign_triggers_are_named_and_restored() {
    let harness = harness().await;
    let foreign = "create function public.other() returns trigger language plpgsql as 'begin return null; end';
        drop trigger on_auth_user_created on auth.users;
        create trigger on_auth_user_created after insert on auth.users for each row execute function public.other()";
    let never = "drop trigger on_auth_user_created on auth.users;
        create trigger on_auth_user_created after insert on auth.users for each row when (false)
        execute function tenancy.on_auth_user_created()";
    for (breaking, expected) in [
        ("drop trigger on_auth_user_created on auth.users", Trigger::Missing),
        ("alter table auth.users disable trigger on_auth_user_created", Trigger::Disabled),
        ("alter table auth.users enable replica trigger on_auth_user_created", Trigger::Disabled),
        ("drop function tenancy.on_auth_user_created() cascade", Trigger::Missing),
        (foreign, Trigger::Missing),
        (never, Trigger::Missing),
    ] {
        harness.sql(breaking).await;
        let found = harness.measure().await;
        assert_eq!((found.trigger, found.status), (expected, "degraded"), "{breaking}");
        restore_trigger(&harness.control, &harness.origin, &found).await.unwrap();
        assert!(harness.measure().await.is_complete(), "{breaking}");
    }
    harness.sql("insert into auth.users (id, email) values (gen_random_uuid(), 'a@example.com')").await;
    assert_eq!(harness.measure().await.total_profiles, 1);
    let owner = "select string_agg(distinct pg_get_userbyid(proowner), ',') from pg_proc
                 where pronamespace = 'tenancy'::regnamespace and proname in ('on_auth_user_created', 'create_profiles')";
    assert_eq!(harness.text(owner).await, "rowhouse_owner");
    let audited = "select count(*)::text from audit.entries where action = 'sign_up_trigger_restored' and actor = 'operator:test'";
    assert_eq!(harness.text(audited).await, "6");
}

#[tokio::test]
async fn role_of_a_profile_is_one_of_the_list() {
    let harness = harness().await;
    harness.users_without_trigger(1).await;
    let allowed =
        "select pg_get_constraintdef(oid) from pg_constraint where conname = 'user_profiles_role_check'";
    let allowed = harness.text(allowed).await;
    for role in rowhouse_tenancy::user_sync::PROFILE_ROLES {
        assert!(allowed.contains(&format!("'{role}'")), "{role}: {allowed}");
    }
    assert_eq!(
        allowed.matches("::text").count(),
        rowhouse_tenancy::user_sync::PROFILE_ROLES.len(),
        "{allowed}"
    );
    let done = harness.sync_as(&Profile { role: Some("user".to_owned()), is_inactive: false }).await;
    assert_eq!((done.created, done.failed), (0, 1));
    let default = "select column_default from information_schema.columns
                   where table_schema = 'tenancy' and table_name = 'user_profiles' and column_name = 'role'";
    assert_eq!(harness.text(default).await, "'member'::text");
}
