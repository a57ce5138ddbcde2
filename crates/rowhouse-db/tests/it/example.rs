//! The examples' migrations and their ways back.

use std::path::Path;

use rowhouse_db::connect;
use rowhouse_db::migrate::{FileTrip, read_project, round_trip};
use rowhouse_testkit::TestDatabase;

#[tokio::test]
async fn each_migration_of_an_example_can_be_taken_back_and_leads_to_where_it_began() {
    let examples = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")).unwrap();
    let examples = examples.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let mut tried = 0;
    for example in examples {
        let folder = example.join("migrations");
        let db = TestDatabase::create().await;
        let client = connect(&db.urls.control).await.unwrap();
        let trips = round_trip(&client, &folder, &read_project(&folder).unwrap()).await.unwrap();
        assert!(trips.iter().all(FileTrip::holds), "{trips:#?}");
        tried += trips.len();
    }
    assert!(tried > 0);
}
