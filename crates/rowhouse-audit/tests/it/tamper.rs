//! What somebody with all rights changes behind the triggers is found, and named.

use rowhouse_audit::{Link, Problem, Report, WITHOUT_ORGANIZATION, write};
use serde_json::json;
use tokio_postgres::Client;

use crate::{ONE, OTHER, entry, newest, owner, seal_all, start, verify, write_old};

/// Problem, place and number of missing links of a finding.
type Place = (Problem, Option<i64>, Option<i64>);

/// Three chains of five links; a superuser for whom no trigger runs.
struct Scene {
    client: Client,
    admin: Client,
    kept: Vec<Link>,
}

impl Scene {
    async fn start() -> Self {
        let database = start().await;
        let client = owner(&database).await;
        for organization in [ONE, OTHER, WITHOUT_ORGANIZATION] {
            write_old(&client, organization, 5, 3).await;
        }
        seal_all(&client).await;
        let kept = newest(&client, None).await;
        assert_eq!(verify(&client, None, &kept).await, Report { chains: 3, links: 15, ..Report::default() });
        let admin = database.superuser().await;
        admin.batch_execute("set session_replication_role = replica").await.unwrap();
        Self { client, admin, kept }
    }

    /// Runs a statement in which `E2` is the entry of the second link of `ONE`, and `LINKS` its chain.
    async fn change(&self, change: &str) {
        let entry = |sequence| {
            format!(
                "(select c.entry_id from audit.chain c where c.organization_id = '{ONE}' and c.sequence = {sequence})"
            )
        };
        let change = change.replace("E2", &entry(2)).replace("E3", &entry(3)).replace("E5", &entry(5));
        let change = change.replace("LINKS", &format!("organization_id = '{ONE}'"));
        self.admin.batch_execute(&change).await.unwrap_or_else(|error| panic!("{error:?}\nin {change}"));
    }

    /// What is found in the chain of `ONE`; the others are intact.
    async fn found(&self) -> Vec<Place> {
        assert!(verify(&self.client, Some(OTHER), &[]).await.is_intact());
        let report = verify(&self.client, None, &[]).await;
        assert_eq!(report.found, report.findings.len() as u64);
        let of_one = report.findings.iter();
        of_one.map(|finding| (finding.problem, finding.sequence, finding.missing)).collect()
    }
}

fn at(problem: Problem, sequence: i64) -> Place {
    (problem, Some(sequence), None)
}

#[tokio::test]
async fn changed_column_is_found_at_its_place() {
    let scene = Scene::start().await;
    scene.change("create table public.kept as select * from audit.entries where id = E2").await;
    for change in [
        "action = 'x'",
        "actor = 'x'",
        "source = 'x'",
        "operation = 'x'",
        "request_id = 'x'",
        "target_kind = 'x'",
        "target_id = 'x'",
        "user_agent = 'x'",
        "address = '192.0.2.1'",
        "tenant_id = gen_random_uuid()",
        "details = '{\"a\": 1}'",
        "occurred_at = occurred_at + interval '1 microsecond'",
        "organization_id = null",
    ] {
        scene.change(&format!("update audit.entries set {change} where id = E2")).await;
        assert_eq!(scene.found().await, [at(Problem::EntryChanged, 2)], "{change}");
        let undo =
            "delete from audit.entries where id = E2; insert into audit.entries select * from public.kept";
        scene.change(undo).await;
        assert_eq!(scene.found().await, [], "after {change}");
    }
    scene.change("update audit.entries set action = 'x' where id = E2").await;
    let report = verify(&scene.client, Some(ONE), &[]).await;
    let [finding] = report.findings.as_slice() else { panic!("{report:?}") };
    let entry = finding.entry_id.unwrap();
    assert_eq!(finding.to_string(), format!("changed: entry {entry} at 2 of organization {ONE}"));
}

#[tokio::test]
async fn missing_entry_or_link_is_found_at_its_place() {
    let missing = |first, count| (Problem::LinksMissing, Some(first), Some(count));
    let unlinked = (Problem::EntryNotLinked, None, None);
    for (change, found) in [
        ("delete from audit.entries where id = E2", vec![at(Problem::EntryMissing, 2)]),
        ("delete from audit.chain where LINKS and sequence = 3", vec![missing(3, 1), unlinked]),
        (
            "delete from audit.entries where id in (E2, E3); delete from audit.chain where LINKS and sequence in (2, 3)",
            vec![missing(2, 2)],
        ),
        (
            "delete from audit.entries where id = E2; delete from audit.chain where LINKS and sequence <= 2",
            vec![missing(1, 2), unlinked],
        ),
        ("delete from audit.chain where LINKS and sequence = 5", vec![unlinked]),
    ] {
        let scene = Scene::start().await;
        scene.change(change).await;
        assert_eq!(scene.found().await, found, "{change}");
    }
}

#[tokio::test]
async fn moved_replaced_and_added_entries_are_found() {
    let (changed, unlinked) =
        (|place| at(Problem::EntryChanged, place), (Problem::EntryNotLinked, None, None));
    let add = "insert into audit.entries (id, source, action, actor, target_kind, target_id, organization_id) values \
        ('00000000-0000-0000-0000-00000000000a', 'test', 'added', 'x', 'thing', '1', '00000000-0000-0000-0000-000000000001')";
    let swap = "create table public.swapped as select E2 as second, E3 as third; \
        update audit.chain set entry_id = gen_random_uuid() where entry_id = E3; \
        update audit.chain set entry_id = (select third from public.swapped) where entry_id = E2; \
        update audit.chain set entry_id = (select second from public.swapped) where LINKS and sequence = 3";
    let replace = format!(
        "{add}; update audit.chain set entry_id = '00000000-0000-0000-0000-00000000000a' where entry_id = E2"
    );
    let shift = format!(
        "{add}; update audit.chain set sequence = sequence + 10 where LINKS and sequence > 2; \
         update audit.chain set sequence = sequence - 9 where LINKS and sequence > 2; \
         insert into audit.chain select '{ONE}', 3, '00000000-0000-0000-0000-00000000000a', sha256('x')"
    );
    for (change, found) in [
        (swap, vec![changed(2), changed(3)]),
        (replace.as_str(), vec![changed(2), unlinked]),
        (add, vec![unlinked]),
        (shift.as_str(), vec![changed(3), changed(4), changed(5), changed(6)]),
        (
            "update audit.chain set hash = sha256('x') where LINKS and sequence = 2",
            vec![changed(2), changed(3)],
        ),
    ] {
        let scene = Scene::start().await;
        scene.change(change).await;
        assert_eq!(scene.found().await, found, "{change}");
    }
}

/// Nothing inside the database shows these; the link that was kept elsewhere does.
#[tokio::test]
async fn kept_link_finds_a_missing_end_and_a_chain_computed_anew() {
    let missing_end =
        "delete from audit.entries where id = E5; delete from audit.chain where LINKS and sequence = 5";
    let anew = "update audit.entries set action = 'x' where id = E2;
        do $$ declare link record; before bytea := decode(repeat('00', 32), 'hex'); begin
          for link in select c.*, audit.digest(e) as digest from audit.chain c join audit.entries e on e.id = c.entry_id
            where c.LINKS order by c.sequence loop
            before := audit.link_hash(before, link.organization_id, link.sequence, link.digest);
            update audit.chain c set hash = before where c.LINKS and c.sequence = link.sequence;
          end loop; end $$";
    for (change, problem) in
        [(missing_end, Problem::ExpectedLinkMissing), (anew, Problem::ExpectedHashDiffers)]
    {
        let scene = Scene::start().await;
        scene.change(change).await;
        assert_eq!(scene.found().await, [], "{change}");
        let report = verify(&scene.client, None, &scene.kept).await;
        let found: Vec<_> =
            report.findings.iter().map(|found| (found.problem, found.organization_id)).collect();
        assert_eq!(found, [(problem, Some(ONE))], "{change}");
    }
}

#[tokio::test]
async fn entry_that_is_gone_before_it_was_sealed_is_found() {
    let scene = Scene::start().await;
    let id = write(&scene.client, entry(json!({}))).await.unwrap();
    assert_eq!(verify(&scene.client, None, &[]).await.unsealed, 1);
    scene.change(&format!("delete from audit.entries where id = '{id}'")).await;
    let report = verify(&scene.client, Some(WITHOUT_ORGANIZATION), &[]).await;
    assert_eq!(report.findings[0].entry_id, Some(id));
    assert_eq!(scene.found().await, [(Problem::UnsealedEntryMissing, None, None)]);
    seal_all(&scene.client).await;
    assert_eq!(scene.found().await.len(), 1, "sealing does not hide it");
}
