//! What is clean has no finding, and everything in it is shown.

use std::path::Path;

use rowhouse_db::migrate::read_project;
use rowhouse_isolation::prove::{Cell, Mark, Proof};
use rowhouse_testkit::TestDatabase;

use super::support::{plan, proof_of, with};

fn assert_clean(proof: &Proof) {
    assert_eq!((&proof.leaks, &proof.unproven, &proof.notes), (&vec![], &vec![], &vec![]));
    assert!(proof.passes());
}

#[tokio::test]
async fn example_project_is_proven() {
    let db = TestDatabase::create().await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/todos/migrations");
    for migration in read_project(&folder).unwrap() {
        db.migrate(&migration.sql).await;
    }
    let proof = proof_of(&db, &plan()).await;
    assert_clean(&proof);
    assert_eq!((proof.coverage.relations, proof.coverage.proven, proof.coverage.functions), (3, 3, 1));
}

#[tokio::test]
async fn awkward_schema_is_proven_cell_by_cell() {
    let db = with("").await;
    let proof = proof_of(&db, &plan()).await;
    assert_clean(&proof);
    let line = |relation: &str, actor: &str| {
        let found = proof.matrix.iter().find(|line| line.relation == relation && line.actor == actor);
        found.unwrap_or_else(|| panic!("{relation} {actor}")).cells.clone()
    };
    for table in ["customers", "orders", "lines", "folders", "events"] {
        let (own, other) = (
            line(&format!("public.{table}"), "own tenant"),
            line(&format!("public.{table}"), "other tenant"),
        );
        for cell in [
            Cell::Select,
            Cell::Insert,
            Cell::Update,
            Cell::UpdateAll,
            Cell::Move,
            Cell::Delete,
            Cell::DeleteAll,
            Cell::Merge,
        ] {
            assert_eq!(
                (own.get(&cell), other.get(&cell)),
                (Some(&Mark::Control), Some(&Mark::Held)),
                "{table} {cell:?}"
            );
        }
    }
    assert_eq!(line("public.lines", "other tenant").get(&Cell::Refer), Some(&Mark::Held));
    assert_eq!(line("public.order_totals", "other tenant").get(&Cell::Echo), Some(&Mark::Held));
    assert_eq!(line("public.customers_like(text)", "other tenant").get(&Cell::Call), Some(&Mark::Held));
}
