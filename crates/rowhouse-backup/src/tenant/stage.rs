//! The tenant's rows of the backup, beside the live ones: copied into a schema that is gone at the end of the transaction.

use futures_util::{SinkExt, TryStreamExt, pin_mut};
use rowhouse_db::DbError;
use tokio_postgres::Client;

use super::table::{TENANT, Table};

/// Nobody else sees it: it is made and dropped in one transaction.
pub(super) const SCHEMA: &str = "rowhouse_restore";
/// How values are written as text, alike on both sides.
const FORMS: [(&str, &str); 6] = [
    ("datestyle", "'ISO, YMD'"),
    ("intervalstyle", "'postgres'"),
    ("timezone", "'UTC'"),
    ("extra_float_digits", "1"),
    ("bytea_output", "'hex'"),
    ("lc_monetary", "'C'"),
];

/// Statements that set them; `verb` is `set` or `set local`.
pub(super) fn settings(verb: &str) -> String {
    FORMS.map(|(name, value)| format!("{verb} {name} = {value};")).concat()
}

/// Name of a table's rows of the backup.
pub(super) fn name(number: usize) -> String {
    format!("{SCHEMA}.t{number}")
}

/// Copies the rows of one table; returns how many.
pub(super) async fn rows(tx: &Client, copy: &Client, number: usize, table: &Table) -> Result<u64, DbError> {
    let (staged, columns, own) = (name(number), table.columns.join(", "), table.own());
    // With the live table's types, and without its constraints or those of domains.
    let types = table.columns.iter().map(|column| table.staged(column)).collect::<Vec<_>>().join(", ");
    let create = format!("create table {staged} as select {types} from {own} with no data");
    tx.batch_execute(&create).await?;
    let out =
        format!("copy (select {columns} from {own} t where t.{} = {TENANT}) to stdout", table.tenant_column);
    let (source, sink) =
        (copy.copy_out(&out).await?, tx.copy_in(&format!("copy {staged} from stdin")).await?);
    pin_mut!(source, sink);
    while let Some(bytes) = source.try_next().await? {
        sink.send(bytes).await?;
    }
    let count = sink.finish().await?;
    tx.batch_execute(&format!("grant select on {staged} to rowhouse_project; analyze {staged}")).await?;
    Ok(count)
}
