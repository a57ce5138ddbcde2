//! Queries of the mailbox, newest message first.

use futures_util::{StreamExt, pin_mut};
use rowhouse_db::Transaction;
use rowhouse_db::{Control, DbError};
use rowhouse_kernel::Operation;
use time::OffsetDateTime;
use tokio_postgres::Row;

use super::query::Query;

/// Messages that a search looks at, newest first.
const MOST_SEARCHED: i64 = 10_000;

/// A message and its metadata.
#[derive(Debug, Clone)]
pub(crate) struct Captured {
    pub(crate) id: i64,
    pub(crate) created_at: OffsetDateTime,
    pub(crate) envelope_from: String,
    pub(crate) tags: Vec<String>,
    pub(crate) is_read: bool,
    pub(crate) mime: Vec<u8>,
    pub(crate) recipients: Vec<String>,
}

/// Number of messages, and of unread ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) total: i64,
    pub(crate) unread: i64,
}

/// A page of results.
pub(crate) struct Page<T> {
    pub(crate) all: Counts,
    pub(crate) matching: Counts,
    pub(crate) tags: Vec<String>,
    pub(crate) messages: Vec<T>,
}

const COLUMNS: &str = "m.id, m.created_at, m.envelope_from, m.tags, m.is_read, m.mime, \
    array(select r.address from mail.recipients r where r.message = m.id order by r.id)";

fn captured(row: &Row) -> Captured {
    Captured {
        id: row.get(0),
        created_at: row.get(1),
        envelope_from: row.get(2),
        tags: row.get(3),
        is_read: row.get(4),
        mime: row.get(5),
        recipients: row.get(6),
    }
}

/// A page. `show` converts each message as it is read, since messages may be large.
pub(crate) async fn list<T: Send>(
    control: &Control,
    start: i64,
    limit: i64,
    show: fn(&Captured) -> T,
) -> Result<Page<T>, DbError> {
    control
        .run_tx(&Operation::system("mail.captured"), async move |tx: &Transaction<'_>| {
            let sql = format!("select {COLUMNS} from mail.messages m order by m.id desc offset $1 limit $2");
            let rows = tx.query_raw(&sql, [start, limit]).await?;
            pin_mut!(rows);
            let mut messages = Vec::new();
            while let Some(row) = rows.next().await {
                messages.push(show(&captured(&row?)));
            }
            let all = counts(tx).await?;
            Ok(Page { all, matching: all, tags: tags(tx).await?, messages })
        })
        .await
}

/// A page of messages that match.
pub(crate) async fn search<T: Send>(
    control: &Control,
    query: Query,
    start: usize,
    limit: usize,
    show: fn(&Captured) -> T,
) -> Result<Page<T>, DbError> {
    let query = std::sync::Arc::new(query);
    control
        .run_tx(&Operation::system("mail.search_captured"), async move |tx: &Transaction<'_>| {
            let sql = format!("select {COLUMNS} from mail.messages m order by m.id desc limit $1");
            let rows = tx.query_raw(&sql, [MOST_SEARCHED]).await?;
            pin_mut!(rows);
            let (mut messages, mut matching, mut seen) = (Vec::new(), Counts::default(), 0);
            while let Some(row) = rows.next().await {
                let message = captured(&row?);
                if !query.matches(&message) {
                    continue;
                }
                matching.total += 1;
                matching.unread += i64::from(!message.is_read);
                if (start..start.saturating_add(limit)).contains(&seen) {
                    messages.push(show(&message));
                }
                seen += 1;
            }
            Ok(Page { all: counts(tx).await?, matching, tags: tags(tx).await?, messages })
        })
        .await
}

async fn counts(tx: &Transaction<'_>) -> Result<Counts, DbError> {
    let row =
        tx.query_one("select count(*), count(*) filter (where not is_read) from mail.messages", &[]).await?;
    Ok(Counts { total: row.get(0), unread: row.get(1) })
}

async fn tags(tx: &Transaction<'_>) -> Result<Vec<String>, DbError> {
    Ok(tag_counts(tx).await?.into_iter().map(|(tag, _)| tag).collect())
}

async fn tag_counts(tx: &Transaction<'_>) -> Result<Vec<(String, i64)>, DbError> {
    let sql = "select t.name, count(*) from mail.messages m, unnest(m.tags) as t (name) group by 1 order by 1 limit 1000";
    Ok(tx.query(sql, &[]).await?.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Totals of the mailbox.
pub(crate) struct Totals {
    pub(crate) counts: Counts,
    pub(crate) tags: Vec<(String, i64)>,
    /// Size of all messages, in bytes.
    pub(crate) size: i64,
}

pub(crate) async fn totals(control: &Control) -> Result<Totals, DbError> {
    control
        .run_tx(&Operation::system("mail.captured_totals"), async move |tx: &Transaction<'_>| {
            let sql = "select coalesce(sum(size), 0)::bigint from mail.messages";
            let size = tx.query_one(sql, &[]).await?.get(0);
            Ok(Totals { counts: counts(tx).await?, tags: tag_counts(tx).await?, size })
        })
        .await
}

/// Gives messages exactly these tags.
pub(crate) async fn set_tags(control: &Control, ids: Vec<i64>, tags: Vec<String>) -> Result<(), DbError> {
    control
        .run_tx(&Operation::system("mail.tag_captured"), async move |tx: &Transaction<'_>| {
            let sql = "update mail.messages set tags = $2 where id = any($1)";
            tx.execute(sql, &[&ids, &tags]).await?;
            Ok(())
        })
        .await
}

/// Renames a tag, or removes it from every message.
pub(crate) async fn replace_tag(control: &Control, old: String, new: Option<String>) -> Result<(), DbError> {
    control
        .run_tx(&Operation::system("mail.rename_captured_tag"), async move |tx: &Transaction<'_>| {
            let sql = "update mail.messages set tags = case when $2::text is null or $2 = any(tags) \
                         then array_remove(tags, $1) else array_replace(tags, $1, $2) end \
                       where $1 = any(tags) and $2 is distinct from $1";
            tx.execute(sql, &[&old, &new]).await?;
            Ok(())
        })
        .await
}

/// The message with that id, or the newest; marks it as read.
pub(crate) async fn find(
    control: &Control,
    id: Option<i64>,
    reads: bool,
) -> Result<Option<Captured>, DbError> {
    control
        .run_tx(&Operation::system("mail.find_captured"), async move |tx: &Transaction<'_>| {
            let sql = format!(
                "select {COLUMNS} from mail.messages m \
                 where m.id = coalesce($1, (select max(id) from mail.messages))"
            );
            let found = tx.query_opt(&sql, &[&id]).await?.as_ref().map(captured);
            if let Some(message) = found.as_ref().filter(|message| reads && !message.is_read) {
                tx.execute("update mail.messages set is_read = true where id = $1", &[&message.id]).await?;
            }
            Ok(found)
        })
        .await
}

/// Marks messages as read or unread; all of them where none is named.
pub(crate) async fn mark(control: &Control, ids: Vec<i64>, is_read: bool) -> Result<(), DbError> {
    const SQL: &str = "update mail.messages set is_read = $2 \
               where is_read <> $2 and (id = any($1) or cardinality($1::bigint[]) = 0)";
    control
        .run_tx(&Operation::system("mail.mark_captured"), async move |tx: &Transaction<'_>| {
            tx.execute(SQL, &[&ids, &is_read]).await?;
            Ok(())
        })
        .await
}

/// Removes messages in a final state; all of them where none is named. Captured is a final state.
pub(crate) async fn delete(control: &Control, ids: Vec<i64>) -> Result<(), DbError> {
    const SQL: &str = "delete from mail.messages m where (id = any($1) or cardinality($1::bigint[]) = 0) \
               and not exists (select from mail.recipients r where r.message = m.id and r.finished_at is null)";
    control
        .run_tx(&Operation::system("mail.delete_captured"), async move |tx: &Transaction<'_>| {
            tx.execute(SQL, &[&ids]).await?;
            Ok(())
        })
        .await
}
