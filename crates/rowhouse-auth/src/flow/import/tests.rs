use std::sync::Arc;

use rowhouse_db::DbSettings;
use rowhouse_kernel::{SharedClock, SystemClock};
use rowhouse_testkit::TestDatabase;

use super::*;

/// GoTrue's tables with the columns that matter here, and some that we do not have.
const SOURCE: &str = "create schema theirs;
    create type theirs.status as enum ('unverified', 'verified');
    create table theirs.users (id uuid primary key, aud text, role text, email text, encrypted_password text,
      email_confirmed_at timestamptz, confirmation_token text, raw_app_meta_data jsonb, raw_user_meta_data jsonb,
      created_at timestamptz, phone text, confirmed_at timestamptz generated always as (email_confirmed_at) stored,
      is_sso_user boolean, theirs_alone int);
    create table theirs.identities (id uuid, provider_id text, user_id uuid, identity_data jsonb, provider text,
      email text generated always as (lower(identity_data ->> 'email')) stored, created_at timestamptz);
    create table theirs.mfa_factors (id uuid, user_id uuid, friendly_name text, factor_type text, status theirs.status,
      created_at timestamptz, updated_at timestamptz, secret text);
    create table theirs.sessions (id uuid, user_id uuid, created_at timestamptz, aal text, not_after timestamptz);
    create table theirs.refresh_tokens (id bigint, token text, user_id varchar, revoked boolean, session_id uuid);
    insert into theirs.users (id, aud, role, email, encrypted_password, email_confirmed_at, confirmation_token, raw_app_meta_data,
      raw_user_meta_data, created_at)
    select ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'authenticated', 'authenticated', 'u' || n || '@example.com',
      case n when 1 then '{\"key_id\": \"x\"}' else '$2a$10$abcdefghijklmnopqrstuuAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.' end,
      now(), null, '{\"provider\": \"email\"}', null, now() from generate_series(1, 1100) n;
    insert into theirs.identities (id, provider_id, user_id, identity_data, provider, created_at)
    select gen_random_uuid(), id::text, id, jsonb_build_object('sub', id, 'email', email), 'email', now() from theirs.users;
    insert into theirs.mfa_factors select gen_random_uuid(), id, 'phone', 'totp', case when n = 1 then 'verified' else 'unverified' end::theirs.status,
      now(), now(), 'JBSWY3DPEHPK3PXP' from (select id, row_number() over (order by id) n from theirs.users limit 2) u;
    insert into theirs.sessions select id, id, now(), 'aal1', null from theirs.users limit 3;
    insert into theirs.refresh_tokens select 7, 'plain' || id, id::text, false, id from theirs.sessions;";

async fn run(db: &TestDatabase, plan: &Plan) -> Imported {
    let control = Control::open(&db.urls.control, &DbSettings::default()).unwrap();
    let clock: SharedClock = Arc::new(SystemClock);
    let (source, mut seen) = (db.superuser().await, Vec::new());
    let origin = Origin::system(&clock);
    let imported = import(&source, &control, &origin, plan, |done, total| seen.push((done, total))).await;
    let imported = imported.unwrap();
    assert_eq!(seen, [(500, 1100), (1000, 1100), (1100, 1100)]);
    imported
}

#[tokio::test]
async fn users_come_with_what_belongs_to_them_once() {
    let db = TestDatabase::create().await;
    let sql = db.superuser().await;
    sql.batch_execute(SOURCE).await.unwrap();
    sql.batch_execute(
        "insert into auth.users (id, email, created_at) values (gen_random_uuid(), 'U2@example.com', now())",
    )
    .await
    .unwrap();
    let count = async |of: &str| -> i64 {
        sql.query_one(&format!("select count(*) from {of}"), &[]).await.unwrap().get(0)
    };
    let plan = Plan { schema: "theirs".to_owned(), sessions: true, dry_run: true };
    let rehearsed = run(&db, &plan).await;
    assert_eq!(count("auth.users").await, 1);
    let plan = Plan { dry_run: false, ..plan };
    let imported = run(&db, &plan).await;
    for imported in [&rehearsed, &imported] {
        assert_eq!(
            (imported.users, imported.known, imported.taken, imported.without_password),
            (1099, 0, 1, 1)
        );
        let rows: Vec<_> = imported.rows.iter().map(|(table, count)| (*table, *count)).collect();
        assert_eq!(rows, [("identities", 1099), ("mfa_factors", 1), ("refresh_tokens", 2), ("sessions", 2)]);
    }
    assert_eq!(count("auth.users where encrypted_password = '' and email = 'u1@example.com'").await, 1);
    assert_eq!(count("tenancy.memberships").await, 1100, "the triggers of sign-ups run");
    let again = run(&db, &plan).await;
    assert_eq!((again.users, again.known, again.taken), (0, 1099, 1));
}
