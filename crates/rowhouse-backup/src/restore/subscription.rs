//! Subscriptions of a copy. Each names a slot on a publisher: a copy that went on with it would take the changes that the original
//! waits for.

use rowhouse_db::DbError;
use rowhouse_db::embedded::Temporary;
use rowhouse_module::CannotRun;
use tokio_postgres::Client;

/// In databases without connections nothing is subscribed.
const FIND: &str = "select d.datname::text, s.subname::text, quote_ident(s.subname) from pg_subscription s \
     join pg_database d on d.oid = s.subdbid \
     where (s.subenabled or s.subslotname is not null) and d.datallowconn order by 1, 2";

/// Disables each, in every database, and has it forget its slot; returns their names, as DATABASE.NAME.
pub(super) async fn disable(
    client: &Client,
    (server, superuser): (&Temporary, &str),
) -> Result<Vec<String>, CannotRun> {
    let mut disabled = Vec::new();
    for row in client.query(FIND, &[]).await.map_err(DbError::from)? {
        let (database, name, quoted): (String, String, String) = (row.get(0), row.get(1), row.get(2));
        let database_client = rowhouse_db::connect(&server.url(superuser, &database)).await?;
        let sql = format!(
            "alter subscription {quoted} disable; alter subscription {quoted} set (slot_name = none)"
        );
        database_client.batch_execute(&sql).await.map_err(DbError::from)?;
        disabled.push(format!("{database}.{name}"));
    }
    Ok(disabled)
}

/// For people; empty without any.
pub(crate) fn told(subscriptions: &[String]) -> String {
    match subscriptions.is_empty() {
        true => String::new(),
        false => format!("\nits subscriptions are disabled and have no slot: {}", subscriptions.join(", ")),
    }
}
