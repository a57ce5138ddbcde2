//! Compares the tenant's rows of the backup with the live ones, and changes these. All SQL is composed of names that the catalog
//! has quoted; the tenant is in a setting of the transaction. Leaves copying to `stage`.

use rowhouse_audit::Entry;
use rowhouse_db::{DbError, TransactionError};
use rowhouse_kernel::TenantId;
use serde_json::{Map, json};
use tokio_postgres::Client;

use super::table::{Group, TENANT, Table, tables};
use super::{TableReport, Wish, newer, stage};

/// Held while rows of a tenant are brought back; any other number would do.
const LOCK: i64 = 0x726f_7768_7465_6e61;
/// As for the project's migrations: what its constraints call finds its names.
const PROJECT_PATH: &str = "set local search_path = pg_catalog, public, extensions, pg_temp";

/// Why the transaction was rolled back.
#[derive(Debug)]
pub(super) enum Refused {
    Database(DbError),
    /// Another restore is under way.
    Busy,
    /// What was found, and what is against bringing it back.
    Rows(Vec<TableReport>, Vec<String>),
}

impl From<DbError> for Refused {
    fn from(error: DbError) -> Self {
        Self::Database(error)
    }
}

impl From<tokio_postgres::Error> for Refused {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error.into())
    }
}

impl TransactionError for Refused {
    fn database(&self) -> Option<&DbError> {
        match self {
            Self::Database(error) => Some(error),
            Self::Busy | Self::Rows(..) => None,
        }
    }
}

/// One table with what was found in it.
struct Work {
    table: Table,
    staged: String,
    report: TableReport,
}

/// Stages, compares, and changes what the wish says.
pub(super) async fn bring_back(
    tx: &Client,
    copy: &Client,
    (tenant, backup): (TenantId, &str),
    wish: &Wish,
) -> Result<Vec<TableReport>, Refused> {
    begin(tx).await?;
    let mut work = Vec::new();
    for (number, table) in tables(tx, copy).await?.into_iter().enumerate() {
        work.push(look(tx, copy, number, table).await?);
    }
    if wish.apply {
        let refusals = refusals(tx, copy, &work, wish).await?;
        if !refusals.is_empty() {
            return Err(Refused::Rows(reports(work), refusals));
        }
        apply(tx, copy, &mut work, wish).await?;
        note(tx, &work, (tenant, backup)).await?;
    }
    tx.batch_execute(&format!("drop schema {} cascade", stage::SCHEMA)).await?;
    Ok(reports(work))
}

fn reports(work: Vec<Work>) -> Vec<TableReport> {
    work.into_iter().map(|work| work.report).collect()
}

async fn begin(tx: &Client) -> Result<(), Refused> {
    let taken = tx.query_one("select pg_try_advisory_xact_lock($1)", &[&LOCK]).await?;
    if !taken.get::<_, bool>(0) {
        return Err(Refused::Busy);
    }
    // As long as the rows take; a lock that somebody holds is not waited for long, since writers would queue up behind it.
    let limits = "set local statement_timeout = 0; set local idle_in_transaction_session_timeout = 0; \
                  set local lock_timeout = '5s';";
    let schema = stage::SCHEMA;
    let sql = format!(
        "{limits} {} create schema {schema}; grant usage on schema {schema} to rowhouse_project",
        stage::settings("set local")
    );
    Ok(tx.batch_execute(&sql).await?)
}

async fn look(tx: &Client, copy: &Client, number: usize, table: Table) -> Result<Work, DbError> {
    let mut report = TableReport::new(&table.name, table.group);
    let staged = stage::name(number);
    match table.obstacle() {
        Some(why) => report.skipped = Some(why.to_owned()),
        None => {
            report.in_backup = stage::rows(tx, copy, number, &table).await?;
            compare(tx, &table, &staged, &mut report).await?;
        }
    }
    Ok(Work { table, staged, report })
}

/// Rows are the same if all their values are, as text: not every type can be compared.
async fn compare(tx: &Client, table: &Table, staged: &str, report: &mut TableReport) -> Result<(), DbError> {
    let (live, same, column) = (table.own(), table.same_key(), &table.tenant_column);
    // The names are in a literal here. A cast to text may be the project's own function; `format` writes without it.
    let part = |key: &String| format!("{} = ' || format('%s', s.{key}) || '", key.replace('\'', "''"));
    let example = table.key.iter().map(part).collect::<Vec<_>>().join(", ");
    let sql = format!(
        "select count(*) filter (where not f.is_there), count(*) filter (where f.is_there and f.is_ours and f.differs), \
           count(*) filter (where f.is_there and not f.is_ours), min(f.example) filter (where f.is_there and not f.is_ours), \
           (select count(*) from {live} l where l.{column} = {TENANT} and not exists (select from {staged} s where {same})) \
         from (select l.{first} is not null as is_there, coalesce(l.{column} = {TENANT}, false) as is_ours, {differs} as differs, \
                 '{example}' as example \
               from {staged} s left join {live} l on {same}) f",
        differs = differs(table),
        first = table.key.first().unwrap_or(column),
    );
    let row = tx.query_one(&sql, &[]).await?;
    let number = |place: usize| row.get::<_, i64>(place).unsigned_abs();
    (report.missing, report.changed, report.moved, report.only_live) =
        (number(0), number(1), number(2), number(4));
    report.moved_example = row.get(3);
    Ok(())
}

fn differs(table: &Table) -> String {
    let row = |alias: &str| {
        table.columns.iter().map(|column| format!("{alias}.{column}")).collect::<Vec<_>>().join(", ")
    };
    format!("row({})::text is distinct from row({})::text", row("l"), row("s"))
}

/// What is against it, each by name.
async fn refusals(tx: &Client, copy: &Client, work: &[Work], wish: &Wish) -> Result<Vec<String>, DbError> {
    let mut refusals: Vec<String> = work.iter().filter(|one| one.report.moved > 0).map(|one| {
        let TableReport { table, moved, moved_example, .. } = &one.report;
        let example = moved_example.as_deref().unwrap_or_default();
        format!("{table}: {moved} of the tenant's rows belong to another tenant now, such as {example}; move them back first")
    }).collect();
    for one in work.iter().filter(|one| is_removed_from(one, wish)) {
        refusals.extend(newer::moved_in(tx, copy, &one.table, &one.staged).await?);
    }
    let sql =
        format!("select exists (select from tenancy.tenants where id = {TENANT} and status = 'erased')");
    if !wish.overwrite && tx.query_one(&sql, &[]).await?.get::<_, bool>(0) {
        refusals.push("the tenant was erased: if its data may come back, add --overwrite, which also gives it its former name and status".to_owned());
    }
    Ok(refusals)
}

/// Of the platform's tables nothing is removed.
fn is_removed_from(one: &Work, wish: &Wish) -> bool {
    wish.delete_newer && one.table.group == Group::Data && one.report.only_live > 0
}

/// What was taken from a tenant or its members since stays taken, unless it is asked for or the whole tenant is gone.
fn is_wanted(table: &Table, wish: &Wish, is_gone: bool) -> bool {
    match table.group {
        Group::Data => true,
        Group::Members => wish.members,
        Group::Settings => wish.overwrite || is_gone || table.is_tenants(),
    }
}

async fn apply(tx: &Client, copy: &Client, work: &mut [Work], wish: &Wish) -> Result<(), DbError> {
    tx.batch_execute(PROJECT_PATH).await?;
    let is_gone = work.iter().any(|one| one.table.is_tenants() && one.report.missing > 0);
    let is_touched = |one: &Work| {
        let report = &one.report;
        let differs = report.missing > 0 || wish.overwrite && report.changed > 0;
        differs && is_wanted(&one.table, wish, is_gone) || is_removed_from(one, wish)
    };
    let touched: Vec<usize> = (0..work.len()).filter(|place| is_touched(&work[*place])).collect();
    for place in &touched {
        run_all(tx, &work[*place].table.disable).await?;
    }
    for place in &touched {
        let one = &mut work[*place];
        let (table, staged, report) = (&one.table, &one.staged, &mut one.report);
        acting(tx, table.group, async || fill((tx, copy), table, staged, report, wish).await).await?;
    }
    // Afterwards, when what is restored no longer refers to what goes; children first.
    for place in touched.iter().rev() {
        let one = &mut work[*place];
        if is_removed_from(one, wish) {
            acting(tx, one.table.group, async || remove(tx, &one.table, &one.staged, &mut one.report).await)
                .await?;
        }
    }
    for place in &touched {
        run_all(tx, &work[*place].table.enable).await?;
    }
    Ok(())
}

async fn run_all(tx: &Client, statements: &[String]) -> Result<(), DbError> {
    for statement in statements {
        tx.batch_execute(statement).await?;
    }
    Ok(())
}

/// What the project's constraints call runs with the project's rights.
async fn acting(
    tx: &Client,
    group: Group,
    work: impl AsyncFnOnce() -> Result<(), DbError>,
) -> Result<(), DbError> {
    if group != Group::Data {
        return work().await;
    }
    tx.batch_execute("set local role rowhouse_project").await?;
    work().await?;
    Ok(tx.batch_execute("reset role").await?)
}

async fn fill(
    (tx, copy): (&Client, &Client),
    table: &Table,
    staged: &str,
    report: &mut TableReport,
    wish: &Wish,
) -> Result<(), DbError> {
    let (name, live, columns, same) = (&table.name, table.own(), table.columns.join(", "), table.same_key());
    let values = table.columns.iter().map(|column| table.value(column)).collect::<Vec<_>>().join(", ");
    let further = match table.name.as_str() {
        "tenancy.memberships" => " and exists (select from auth.users u where u.id = s.user_id)",
        "tenancy.entitlements" => {
            " and (s.user_id is null or exists (select from tenancy.memberships m \
             where m.tenant_id = s.tenant_id and m.user_id = s.user_id))"
        }
        _ => "",
    };
    let insert = format!(
        "insert into {name} ({columns}) overriding system value select {values} from {staged} s \
         where not exists (select from {live} l where {same}){further}"
    );
    report.inserted = tx.execute(&insert, &[]).await?;
    if report.inserted > 0 {
        advance_sequences((tx, copy), table, staged).await?;
    }
    let set: Vec<String> =
        table.settable().map(|column| format!("{column} = {}", table.value(column))).collect();
    if !wish.overwrite || table.group == Group::Members || set.is_empty() {
        return Ok(());
    }
    // An open tenant keeps its name, plan and status.
    let closed = if table.is_tenants() { " and l.status in ('deleted', 'erased')" } else { "" };
    let update = format!(
        "update {live} l set {} from {staged} s where {same} and l.{} = {TENANT} and {}{closed}",
        set.join(", "),
        table.tenant_column,
        differs(table)
    );
    report.updated = tx.execute(&update, &[]).await?;
    Ok(())
}

/// Numbers that came back must not be given again, where the live sequence was set back since. A tenant may have chosen one
/// that its sequence never gave: beyond what it had given, the numbers of all tenants would be used up.
async fn advance_sequences(
    (tx, copy): (&Client, &Client),
    table: &Table,
    staged: &str,
) -> Result<(), DbError> {
    let sql = "select quote_ident(a.attname), pg_get_serial_sequence($1, a.attname::text) from pg_attribute a \
               where a.attrelid = $1::text::regclass and a.attnum > 0 and not a.attisdropped \
                 and pg_get_serial_sequence($1, a.attname::text) is not null";
    for row in tx.query(sql, &[&table.name]).await? {
        let (column, sequence): (String, String) = (row.get(0), row.get(1));
        if !table.columns.contains(&column) {
            continue;
        }
        let Some(given) = last_given(copy, &sequence).await? else { continue };
        let advance = format!(
            "select setval($1::text::regclass, m.most) \
             from (select least(max({column})::numeric, $2::int8)::bigint as most from {staged}) m, \
             {sequence} q where m.most >= q.last_value"
        );
        tx.query(&advance, &[&sequence, &given]).await?;
    }
    Ok(())
}

/// The last number that a sequence of the backup has given.
async fn last_given(copy: &Client, sequence: &str) -> Result<Option<i64>, DbError> {
    let sql = "select pg_sequence_last_value(c.oid) from pg_class c \
               where c.oid = to_regclass($1) and c.relkind = 'S'";
    Ok(copy.query_opt(sql, &[&sequence]).await?.and_then(|row| row.get(0)))
}

async fn remove(tx: &Client, table: &Table, staged: &str, report: &mut TableReport) -> Result<(), DbError> {
    let (live, same, column) = (table.own(), table.same_key(), &table.tenant_column);
    let sql = format!(
        "delete from {live} l where l.{column} = {TENANT} and not exists (select from {staged} s where {same})"
    );
    report.deleted = tx.execute(&sql, &[]).await?;
    Ok(())
}

async fn note(tx: &Client, work: &[Work], (tenant, backup): (TenantId, &str)) -> Result<(), DbError> {
    let tables: Map<_, _> = work
        .iter()
        .filter(|one| one.report.changes() > 0)
        .map(|one| {
            let TableReport { table, inserted, updated, deleted, .. } = &one.report;
            (table.clone(), json!({ "inserted": inserted, "updated": updated, "deleted": deleted }))
        })
        .collect();
    let details =
        Map::from_iter([("backup".to_owned(), json!(backup)), ("tables".to_owned(), tables.into())]);
    let (id, tenant) = (tenant.to_string(), Some(tenant));
    let entry = Entry {
        source: "backup",
        action: "tenant_restored",
        target_kind: "tenant",
        target_id: &id,
        tenant,
        details,
    };
    rowhouse_audit::write(tx, entry).await.map(drop)
}
