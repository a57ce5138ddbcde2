//! The whole program behind PgBouncer, with and without the server's own address.

use std::time::Duration;

use rowhouse_testkit::{Cluster, Pooler, TestDatabase, until};

use crate::program::{Folder, Up, free_port};

/// A prepared database. Privileges on a database are not part of the template that it is copied from.
async fn database() -> TestDatabase {
    let base = TestDatabase::create().await;
    let grants = "grant create on database NAME to rowhouse_owner, rowhouse_project; \
        grant connect on database NAME to rowhouse, authenticator, authenticator_service";
    base.superuser().await.batch_execute(&grants.replace("NAME", &base.name)).await.unwrap();
    base
}

/// A project on `database`, through the pooler, and with the server's own address if it is `direct`.
fn folder(pooler: &Pooler, database: &str, direct: bool) -> Folder {
    let url = pooler.url("rowhouse", database);
    let direct = match direct {
        true => format!("direct_url = \"{}\"\n", Cluster::shared().url("rowhouse", database)),
        false => String::new(),
    };
    let passwords = "authenticator_password = \"test\"\nauthenticator_service_password = \"test\"\n";
    Folder::with_settings(&format!("[db]\nurl = \"{url}\"\n{direct}{passwords}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn with_session_pooling_only_listening_migrations_and_commands_go_to_the_direct_url() {
    let base = database().await;
    let pooler = Pooler::start("session").await;
    let folder = folder(&pooler, &base.name, true);
    let up = Up::start(&folder, free_port());
    let ready = reqwest::get(format!("{}/health/ready", up.text("url"))).await.unwrap();
    assert!(ready.status().is_success(), "{}", ready.text().await.unwrap());
    let through = pooler.clients().await;
    let has = |name: &str| through.iter().any(|client| client == name);
    assert!(has("rowhouse-control") && has("rowhouse-data") && has("rowhouse-jobs"), "{through:?}");
    assert!(!has("rowhouse-listen"), "{through:?}");

    drop(pooler);
    let client = base.superuser().await;
    let listens = async || {
        let sql = "select exists (select from pg_stat_activity where application_name = 'rowhouse-listen' \
                   and datname = current_database())";
        client.query_one(sql, &[]).await.unwrap().get(0)
    };
    until("the direct connection listens", Duration::from_secs(10), listens).await;
    // It takes the runners' lock.
    let migrated = folder.run(&["migrate", "up", "--no-wait"]);
    assert_eq!(migrated.code, 0, "{migrated:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_transaction_pooling_up_is_refused_by_name_and_goes_to_the_direct_url_where_it_is_known() {
    let base = database().await;
    let pooler = Pooler::start("transaction").await;
    let port = free_port().to_string();
    let refused = folder(&pooler, &base.name, false).run(&["up", "--port", &port]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.err.contains("db.url leads to a connection pooler"), "{refused:?}");

    let folder = folder(&pooler, &base.name, true);
    let up = Up::start(&folder, free_port());
    let ready = reqwest::get(format!("{}/health/ready", up.text("url"))).await.unwrap();
    assert!(ready.status().is_success(), "{}", ready.text().await.unwrap());
    assert_eq!(pooler.clients().await, [""; 0], "nothing goes through the pooler");
}
