//! Many workers at one limited queue: eight in `./test`, sixty-four in `cargo xtask check --long --only jobs`.

use std::sync::Arc;
use std::time::Duration;

use rowhouse_db::{Control, DbSettings};
use rowhouse_jobs::{Worker, WorkerParts, enqueue_many};
use rowhouse_kernel::{SystemClock, SystemRng};
use rowhouse_testkit::{Cluster, TestDatabase};
use serde_json::json;

use super::{act, load};
use crate::support::idle;

const WORKERS: usize = 8;
/// For each worker.
const JOBS: usize = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cap_of_a_queue_is_reached_and_never_exceeded_by_racing_workers() {
    let cluster = tokio::task::spawn_blocking(Cluster::start).await.unwrap();
    let db = TestDatabase::on_own_cluster(&cluster).await;
    load::arrange(&db).await;
    let client = db.superuser().await;
    let settings = DbSettings { control_pool_size: 8, ..DbSettings::default() };
    let handlers = Control::open(&db.urls.control, &settings).unwrap();
    let count = std::env::var("ROWHOUSE_CHAOS_WORKERS").map_or(WORKERS, |text| text.parse().unwrap());
    let mut workers = Vec::new();
    for _ in 0..count {
        let settings = DbSettings { control_pool_size: 3, ..DbSettings::default() };
        let parts = WorkerParts {
            control: Control::open(&db.urls.control, &settings).unwrap(),
            registry: act::registry(&handlers),
            concurrency: 4,
            release: "1.0.0".to_owned(),
            clock: Arc::new(SystemClock),
            rng: Arc::new(SystemRng),
        };
        workers.push(Worker::start(parts).await.unwrap());
    }
    let payloads = vec![json!({ "do": "capped" }); JOBS * count];
    enqueue_many(&client, "chaos.act", &payloads, "narrow", None).await.unwrap();
    idle(&client).await;
    let most = client.query_one("select chaos.overlap('narrow', false)", &[]).await.unwrap().get::<_, i64>(0);
    let runs =
        client.query_one("select count(*) from chaos.runs where ended_at is not null", &[]).await.unwrap();
    let took_part = "select count(distinct lease) from chaos.runs";
    let leases: i64 = client.query_one(took_part, &[]).await.unwrap().get(0);
    let runs: i64 = runs.get(0);
    println!(
        "race: {}",
        json!({ "workers": count, "cap": 7, "most_at_once": most, "runs": runs, "leases": leases })
    );
    assert_eq!((most, runs), (7, i64::try_from(JOBS * count).unwrap()));
    for worker in workers {
        worker.stop(Duration::from_secs(10)).await;
    }
}
