//! Checks of a restored cluster by SQL: its indexes and tables are what their definitions say, and hold rows.

use serde::{Deserialize, Serialize};
use tokio_postgres::Client;

/// What a check has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    Good,
    Bad,
    /// The server has not what it needs; the detail says what.
    Unavailable,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Check {
    pub(crate) name: String,
    pub(crate) verdict: Verdict,
    pub(crate) detail: String,
}

impl Check {
    pub(crate) fn good(name: &str, detail: &str) -> Self {
        Self::new(name, Verdict::Good, detail)
    }

    pub(crate) fn failed(name: &str, detail: &str) -> Self {
        Self::new(name, Verdict::Bad, detail)
    }

    pub(crate) fn new(name: &str, verdict: Verdict, detail: &str) -> Self {
        Self { name: name.to_owned(), verdict, detail: detail.to_owned() }
    }
}

const AMCHECK: &str = "select exists (select from pg_available_extensions where name = 'amcheck')";

/// B-trees that are in order; a unique one is also compared with its table.
const INDEXES: &str = "select count(rowhouse_drill.bt_index_check(c.oid::regclass, i.indisunique)) \
     from pg_class c join pg_index i on i.indexrelid = c.oid join pg_am a on a.oid = c.relam \
     where a.amname = 'btree' and c.relpersistence = 'p' and c.relkind = 'i' and i.indisready and i.indisvalid";

const TABLES: &str = "select count(*), count(f.msg), min(c.oid::regclass::text || ': ' || f.msg) \
     from pg_class c left join lateral rowhouse_drill.verify_heapam(c.oid::regclass) f on true \
     where c.relkind in ('r', 't', 'm') and c.relpersistence = 'p'";

/// Indexes, by `amcheck`.
pub(super) async fn indexes(client: &Client) -> Check {
    amcheck(client, "indexes", async || {
        let count: i64 = client.query_one(INDEXES, &[]).await?.get(0);
        Ok(Check::good("indexes", &format!("{count} B-trees are in order")))
    })
    .await
}

/// Pages of tables, by `amcheck`.
pub(super) async fn tables(client: &Client) -> Check {
    amcheck(client, "tables", async || {
        let row = client.query_one(TABLES, &[]).await?;
        let (found, example): (i64, Option<String>) = (row.get(1), row.get(2));
        Ok(match example {
            None => Check::good("tables", &format!("{} tables have sound pages", row.get::<_, i64>(0))),
            Some(example) => Check::failed("tables", &format!("{found} findings, such as {example}")),
        })
    })
    .await
}

async fn amcheck(
    client: &Client,
    name: &str,
    work: impl AsyncFn() -> Result<Check, tokio_postgres::Error>,
) -> Check {
    let checked = async {
        if !client.query_one(AMCHECK, &[]).await?.get::<_, bool>(0) {
            let missing = "the extension amcheck is not installed on this machine";
            return Ok(Check::new(name, Verdict::Unavailable, missing));
        }
        // A schema of this name may be the project's, with functions that would run here as the superuser.
        let sql = "set search_path = pg_catalog, pg_temp; drop extension if exists amcheck cascade; \
                   drop schema if exists rowhouse_drill cascade; create schema rowhouse_drill; \
                   create extension amcheck schema rowhouse_drill";
        client.batch_execute(sql).await?;
        work().await
    };
    checked.await.unwrap_or_else(|error| failed(name, error))
}

/// How many rows there are: read completely, so that every page of every table was seen.
pub(super) async fn rows(client: &Client) -> Check {
    let counted = async {
        let sql = "select quote_ident(n.nspname) || '.' || quote_ident(c.relname) from pg_class c \
                   join pg_namespace n on n.oid = c.relnamespace where c.relkind = 'r' and c.relpersistence = 'p' \
                   and n.nspname not in ('pg_catalog', 'information_schema') order by 1";
        let (mut rows, mut tables) = (0_i64, 0);
        for table in client.query(sql, &[]).await? {
            let sql = format!("select count(*) from {}", table.get::<_, &str>(0));
            rows += client.query_one(&sql, &[]).await?.get::<_, i64>(0);
            tables += 1;
        }
        Ok::<_, tokio_postgres::Error>(Check::good(
            "rows",
            &format!("{rows} rows in {tables} tables were read"),
        ))
    };
    counted.await.unwrap_or_else(|error| failed("rows", error))
}

fn failed(name: &str, error: tokio_postgres::Error) -> Check {
    Check::failed(name, &rowhouse_db::DbError::from(error).to_string())
}
