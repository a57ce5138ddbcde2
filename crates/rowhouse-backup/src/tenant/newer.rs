//! Rows that a removal would take for newer although the backup has them: under another tenant, from which they were moved since.

use futures_util::{SinkExt, TryStreamExt, pin_mut};
use rowhouse_db::DbError;
use tokio_postgres::Client;

use super::table::{TENANT, Table};

/// Why they must not be removed, if there are any. Asked of the backup by their keys as text, so that no code of the project runs.
pub(super) async fn moved_in(
    tx: &Client,
    copy: &Client,
    table: &Table,
    staged: &str,
) -> Result<Option<String>, DbError> {
    let (own, key, same, column) = (table.own(), table.key_text("l"), table.same_key(), &table.tenant_column);
    let newer = format!(
        "copy (select {key} from {own} l where l.{column} = {TENANT} \
         and not exists (select from {staged} s where {same})) to stdout"
    );
    copy.batch_execute("create temporary table newer (key text)").await?;
    let (source, sink) = (tx.copy_out(&newer).await?, copy.copy_in("copy pg_temp.newer from stdin").await?);
    pin_mut!(source, sink);
    while let Some(bytes) = source.try_next().await? {
        sink.send(bytes).await?;
    }
    sink.finish().await?;
    let sql = format!(
        "select count(*), min(n.key) from pg_temp.newer n where exists (select from {own} t where {} = n.key)",
        table.key_text("t")
    );
    let row = copy.query_one(&sql, &[]).await?;
    copy.batch_execute("drop table pg_temp.newer").await?;
    let (count, example): (i64, Option<String>) = (row.get(0), row.get(1));
    Ok(example.map(|example| {
        format!(
            "{}: {count} of the rows that --delete-newer would remove were moved to the tenant from another one, such as {example}; \
             move them back first",
            table.name
        )
    }))
}
