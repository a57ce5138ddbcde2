//! `options` of the database URL: what libpq sends at the start of a connection.

use rowhouse_db::flight::Query;
use rowhouse_db::url::with_login;
use rowhouse_db::{DataPlaneUrls, Database, DatabaseUrls, DbError, Transaction};
use rowhouse_kernel::{Caller, Operation, Secret};
use rowhouse_testkit::TestDatabase;

use crate::support::{context, one_connection, service};

/// They are what a session is reset to when it serves another caller, too.
#[tokio::test]
async fn options_of_the_url_hold_for_every_connection_and_stay() {
    let db = TestDatabase::create().await;
    let options = "options=-c%20geqo%3Doff%20-c%20app.note%3Dmine";
    let control = Secret::new(format!("{}?{options}", db.urls.control.expose()));
    let derived = |login| with_login(&control, login, &Secret::new("test")).unwrap();
    let data =
        DataPlaneUrls { authenticator: derived("authenticator"), service: derived("authenticator_service") };
    let urls = DatabaseUrls { direct: control.clone(), control, data };
    let (database, monitor) = Database::open_monitored(&urls, &one_connection(), true).unwrap();
    let sql = "select current_setting('geqo') || ' ' || current_setting('app.note')";
    let ask = async |tx: &Transaction<'_>| Ok::<String, DbError>(tx.query_one(sql, &[]).await?.get(0));
    for _ in 0..2 {
        for caller in [Caller::anonymous(), service()] {
            let query = Query { sql: sql.into(), params: Vec::new() };
            let rows = database.data.fly(&context(&caller), &query).await.unwrap();
            assert_eq!(rows[0][0].as_deref(), Some(b"off mine".as_slice()));
        }
        let found = database.control.run_tx(&Operation::system("test.options"), ask).await.unwrap();
        assert_eq!(found, "off mine");
    }
    monitor.abort();
}
