//! How parties and rows are made: nothing of the project's can keep them, names may be odd, and triggers get few rights.

use rowhouse_isolation::mutate::statements;
use rowhouse_isolation::prove::prove;
use rowhouse_kernel::settings::Setting as _;
use rowhouse_testkit::TestDatabase;

use super::support::{plan, proof_of, with};

#[tokio::test]
async fn setup_that_ends_the_transaction_is_refused_and_keeps_nothing() {
    let db = with("").await;
    let client = rowhouse_db::connect(&db.urls.control).await.unwrap();
    let users =
        async || -> i64 { client.query_one("select count(*) from auth.users", &[]).await.unwrap().get(0) };
    let before = users().await;
    for setup in ["commit", "select 1; commit; begin; select 2", "rollback"] {
        let mut plan = plan();
        plan.settings.setup = Some(setup.to_owned());
        let error = prove(&client, &plan, &|_, _, _| {}).await.unwrap_err();
        assert!(
            error.0.len() == 1
                && error.0[0].starts_with("rls.setup: ")
                && error.0[0].contains("leave out what begins"),
            "{setup}: {error:?}"
        );
        assert_eq!(users().await, before, "{setup}");
    }
    let mut several = plan();
    several.settings.setup =
        Some("create temp table if not exists own (id uuid); insert into own values ('{tenant}')".to_owned());
    assert!(prove(&client, &several, &|_, _, _| {}).await.unwrap().passes());
}

#[tokio::test]
async fn declaration_of_what_does_not_exist_names_its_key() {
    let db = with("").await;
    let client = rowhouse_db::connect(&db.urls.control).await.unwrap();
    let mut plan = plan();
    let table = r#"{"gone": {"relation": "public.gone"}, "wrong": {"relation": "public.folders", "column": "owner"}}"#;
    plan.settings.table = rowhouse_kernel::settings::Named::from_text(table).unwrap();
    let error = prove(&client, &plan, &|_, _, _| {}).await.unwrap_err();
    let keys: Vec<&str> =
        error.0.iter().filter_map(|line| line.split_once(": ")).map(|(key, _)| key).collect();
    assert_eq!(keys, ["rls.table.gone.relation", "rls.table.wrong.column"]);
}

const ODD: &str = r#"create table public."a$$b values (" (id bigint generated always as identity primary key, "order$$" text not null);
    select tenancy.protect('public."a$$b values ("'::regclass);
    grant select, insert, update, delete on public."a$$b values (" to authenticated"#;

#[tokio::test]
async fn odd_names_are_proven_and_their_exported_tests_run() {
    let db = with(ODD).await;
    let proof = proof_of(&db, &plan()).await;
    assert_eq!((&proof.leaks, &proof.unproven), (&vec![], &vec![]));
    let client = db.superuser().await;
    client.batch_execute(include_str!("tap.sql")).await.unwrap();
    let script = rowhouse_isolation::prove::script(&proof);
    client.batch_execute(&script).await.unwrap_or_else(|error| panic!("{error:?}"));
}

#[tokio::test]
async fn triggers_on_rows_of_the_proof_run_as_whose_rows_they_are() {
    let db = with(
        "create table public.heard (id bigint generated always as identity primary key, body text not null);
         select tenancy.protect('public.heard');
         grant select, insert, update, delete on public.heard to authenticated;
         create function public.hear() returns trigger language plpgsql as $$ begin
           if current_user <> 'authenticated' then raise exception 'as %', current_user; end if;
           return new;
         end $$;
         create trigger hear before insert on public.heard for each row execute function public.hear()",
    )
    .await;
    let proof = proof_of(&db, &plan()).await;
    assert_eq!((&proof.leaks, &proof.unproven), (&vec![], &vec![]));
}

#[tokio::test]
async fn defects_fit_into_a_table_with_an_odd_name() {
    let db = TestDatabase::create().await;
    db.migrate(ODD).await;
    let client = db.superuser().await;
    client.batch_execute("begin").await.unwrap();
    let defects = statements(&client, &plan()).await.unwrap();
    assert!(defects.len() > 40, "{}", defects.len());
    for (kind, sql) in defects {
        let tried = format!("savepoint defect; {sql}; rollback to savepoint defect");
        client.batch_execute(&tried).await.unwrap_or_else(|error| panic!("{kind}: {error:?}\nin {sql}"));
    }
}
