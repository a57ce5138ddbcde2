//! What gets through is reported with who, how and what to do; what nobody knows is not passed.

use rowhouse_isolation::prove::{Cell, Mark, document, page, prove, script};
use rowhouse_kernel::settings::Setting as _;
use serde_json::Value;

use super::support::{plan, proof_of, with};

#[tokio::test]
async fn delete_policy_that_is_too_wide_is_shown_by_the_statement_that_needs_no_other() {
    let db = with("alter policy tenant_delete on public.customers using (true)").await;
    let proof = proof_of(&db, &plan()).await;
    let leaks: Vec<_> =
        proof.leaks.iter().map(|leak| (leak.relation.as_str(), leak.actor.as_str(), leak.cell)).collect();
    let expected = ["no tenant", "other tenant", "sibling tenant"];
    assert_eq!(leaks, expected.map(|actor| ("public.customers", actor, Cell::DeleteAll)));
    assert_eq!(proof.leaks[0].statement, "delete from public.customers");
    assert!(proof.leaks[0].remedy.contains("delete"), "{:?}", proof.leaks[0]);
    assert!(!proof.passes());
}

#[tokio::test]
async fn table_without_protection_is_a_leak_and_undeclared() {
    let db = with(
        "create table public.loose (id bigint generated always as identity primary key, tenant_id uuid not null, body text);
         grant select, update on public.loose to authenticated, anon",
    )
    .await;
    let proof = proof_of(&db, &plan()).await;
    let actors: Vec<_> =
        proof.leaks.iter().filter(|leak| leak.cell == Cell::Select).map(|leak| leak.actor.as_str()).collect();
    // The session check refuses the two whose token is no good any more.
    assert_eq!(actors, ["anon", "no tenant", "other tenant", "sibling tenant"]);
    assert!(
        proof
            .unproven
            .iter()
            .any(|one| one.relation == "public.loose" && one.reason.contains("tenancy.protect"))
    );
}

#[tokio::test]
async fn denial_without_a_success_of_the_owner_is_unproven_until_somebody_says_why() {
    let db = with("alter policy tenant_insert on public.folders with check (false)").await;
    let proof = proof_of(&db, &plan()).await;
    let told: Vec<_> = proof.unproven.iter().map(|one| (one.relation.as_str(), one.cell)).collect();
    assert_eq!((proof.leaks.len(), proof.passes()), (0, false));
    assert!(told.contains(&("public.folders", Some(Cell::Insert))), "{told:?}");
    let mut accepting = plan();
    let unproven = r#"{"folders": {"relation": "public.folders", "reason": "written by jobs only"}, "gone": {"relation": "public.gone", "reason": "was there"}}"#;
    accepting.settings.unproven = rowhouse_kernel::settings::Named::from_text(unproven).unwrap();
    let proof = proof_of(&db, &accepting).await;
    assert!(
        proof.passes()
            && proof.unproven.iter().all(|one| one.declared.as_deref() == Some("written by jobs only"))
    );
    assert_eq!(proof.unused, ["gone"]);
}

#[tokio::test]
async fn table_whose_constraints_nobody_can_guess_is_unproven() {
    let db = with(
        "create table public.secrets (id bigint generated always as identity primary key,
           body text not null constraint secrets_body_check check (md5(body) = 'none'));
         select tenancy.protect('public.secrets'); grant select on public.secrets to authenticated",
    )
    .await;
    let proof = proof_of(&db, &plan()).await;
    let reason = &proof.unproven.iter().find(|one| one.relation == "public.secrets").unwrap().reason;
    assert!(reason.contains("cannot make a row") && reason.contains("secrets_body_check"), "{reason}");
}

#[tokio::test]
async fn values_of_others_in_a_unique_key_are_noted_without_failing() {
    let db = with("alter table public.customers add constraint customers_name_key unique (name)").await;
    let proof = proof_of(&db, &plan()).await;
    let notes: Vec<_> = proof.notes.iter().map(|note| (note.relation.as_str(), note.kind)).collect();
    assert_eq!((notes, proof.passes()), (vec![("public.customers", "unique_key")], true));
}

#[tokio::test]
async fn proof_leaves_nothing_but_names_the_sequences_that_are_further() {
    let db = with("").await;
    let client = rowhouse_db::connect(&db.urls.control).await.unwrap();
    let counts = "select (select count(*) from auth.users), (select count(*) from tenancy.tenants), (select count(*) from public.orders)";
    let count = || async {
        let row = client.query_one(counts, &[]).await.unwrap();
        [0, 1, 2].map(|at| row.get::<_, i64>(at))
    };
    let before = count().await;
    let first = prove(&client, &plan(), &|_, _, _| {}).await.unwrap();
    assert_eq!(count().await, before);
    assert!(first.sequences.contains(&"public.orders_id_seq".to_owned()), "{:?}", first.sequences);
    let second = prove(&client, &plan(), &|_, _, _| {}).await.unwrap();
    assert_eq!((first.fingerprint.len(), &first.fingerprint), (64, &second.fingerprint));
    client
        .batch_execute("set role rowhouse_project; alter table public.orders add column more int; reset role")
        .await
        .unwrap();
    let third = prove(&client, &plan(), &|_, _, _| {}).await.unwrap();
    assert_ne!(first.fingerprint, third.fingerprint);
}

#[tokio::test]
async fn document_page_and_tests_have_what_was_shown() {
    let db = with("create policy wide on public.folders for select to authenticated using (true)").await;
    let proof = proof_of(&db, &plan()).await;
    let document = document(&proof, true);
    let keys: Vec<_> = document.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        ["coverage", "fingerprint", "leaks", "matrix", "notes", "sequences", "unproven", "unused", "verdict"]
    );
    assert_eq!(document["verdict"], "fail");
    let leak = &document["leaks"][0];
    let has = |key: &str| leak[key].as_str().is_some_and(|text| !text.is_empty());
    assert!(
        ["relation", "actor", "cell", "detail", "statement", "remedy"].iter().all(|key| has(key)),
        "{leak}"
    );
    let cell = document["matrix"]
        .as_array()
        .unwrap()
        .iter()
        .find(|line| line["relation"] == "public.folders" && line["actor"] == "other tenant");
    assert_eq!(cell.map(|line| &line["cells"]["select"]), Some(&Value::from(Mark::Leak.as_str())));
    let page = page(&proof);
    assert!(
        page.contains("<td class=\"leak\"") && page.contains("<td class=\"held\"") && !page.contains("://")
    );
    let script = script(&proof);
    assert!(
        script.contains("throws_ok(")
            && script.contains("is_empty(")
            && script.contains("insert into public.folders")
    );
}

#[tokio::test]
async fn exported_tests_hold_on_the_schema_that_they_come_from() {
    let db = with("").await;
    let proof = proof_of(&db, &plan()).await;
    let client = db.superuser().await;
    // What pgTAP's functions do, as far as the script uses them: without the extension on this server.
    client.batch_execute(include_str!("tap.sql")).await.unwrap();
    client.batch_execute(&script(&proof)).await.unwrap_or_else(|error| panic!("{error:?}"));
    client.batch_execute("alter policy tenant_select on public.folders using (true)").await.unwrap();
    let error = client.batch_execute(&script(&proof)).await.unwrap_err();
    let message = error.as_db_error().map(|error| error.message().to_owned()).unwrap_or_default();
    assert!(message.contains("public.folders: other tenant, select"), "{message}");
}
