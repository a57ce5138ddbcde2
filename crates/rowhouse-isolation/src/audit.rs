//! Runs the checks on a database. Leaves what each looks for to the catalogue, and the options of the command to `command`.

use rowhouse_db::{DbError, DbSettings};
use rowhouse_kernel::settings::Settings;
use rowhouse_kernel::{ANON, AUTHENTICATED};
use rowhouse_module::CannotRun;
use rowhouse_rest::RestSettings;
use serde_json::{Value, json};
use tokio_postgres::{Client, Row, Statement};

use crate::check::{Check, all};
use crate::policy::judge_all;
use crate::report::{Finding, Report};
use crate::settings::RlsSettings;
use crate::waiver::{Waiver, apply, platform};

const PRELUDE: &str = include_str!("../sql/prelude.sql");
/// Login of the data plane where no URL names another one.
const LOGIN: &str = "authenticator";
/// Names resolve to PostgreSQL's own objects, and others are printed with their schema.
const SEARCH_PATH: &str = "set local search_path = pg_catalog, pg_temp";

/// What is audited, and what the audit takes for granted.
#[derive(Debug, Clone)]
pub struct Scope {
    /// Schemas, by name; none for all that are not PostgreSQL's own.
    pub schemas: Vec<String>,
    /// Schemas that the data API serves.
    pub served: Vec<String>,
    /// Columns that name the tenant of a row.
    pub tenant_columns: Vec<String>,
    /// Role of callers without a token.
    pub anon_role: String,
    /// Login of the data plane.
    pub login: String,
    /// Findings that the project has accepted.
    pub waivers: Vec<Waiver>,
}

impl Scope {
    /// All schemas, as a project's settings have it.
    ///
    /// # Errors
    /// If the URL of the data plane's login cannot be read.
    pub fn of(settings: &Settings) -> Result<Self, CannotRun> {
        let (rest, rls) = (settings.get::<RestSettings>(), settings.get::<RlsSettings>());
        let url = &settings.get::<DbSettings>().authenticator_url;
        Ok(Self {
            schemas: Vec::new(),
            served: rest.schemas.clone(),
            tenant_columns: rls.tenant_columns.clone(),
            anon_role: rest.anon_role.clone(),
            login: url.as_ref().map_or(Ok(LOGIN.to_owned()), rowhouse_db::url::login)?,
            waivers: rls.waivers(),
        })
    }
}

/// Runs every check in a read-only transaction of its own, on a connection that nobody else uses.
///
/// # Errors
/// The database's, a schema that does not exist, and a policy that cannot be judged.
pub async fn audit_read_only(client: &Client, scope: &Scope) -> Result<Report, CannotRun> {
    let begin = "begin isolation level repeatable read read only; set local statement_timeout = '60s'; set local lock_timeout = '5s'";
    client.batch_execute(begin).await.map_err(DbError::from)?;
    let report = audit(client, scope).await;
    client.batch_execute("rollback").await.map_err(DbError::from)?;
    report
}

/// The same in the transaction that the connection is in. Its search_path is another one afterwards.
///
/// # Errors
/// The same.
pub async fn audit(client: &Client, scope: &Scope) -> Result<Report, CannotRun> {
    Auditor::prepare(client).await?.audit(client, scope).await
}

/// The checks as prepared statements of a connection, to audit more than once: planning one takes far longer than running it.
pub(crate) struct Auditor {
    checks: Vec<(&'static Check, Statement)>,
}

impl Auditor {
    pub(crate) async fn prepare(client: &Client) -> Result<Self, CannotRun> {
        client.batch_execute(SEARCH_PATH).await.map_err(DbError::from)?;
        let mut checks = Vec::new();
        for check in all() {
            let statement = client.prepare(&format!("{PRELUDE}{}", check.sql)).await;
            checks.push((check, statement.map_err(|error| concerning(check, error))?));
        }
        Ok(Self { checks })
    }

    /// In the transaction that the connection is in. Its search_path is another one afterwards.
    pub(crate) async fn audit(&self, client: &Client, scope: &Scope) -> Result<Report, CannotRun> {
        client.batch_execute(SEARCH_PATH).await.map_err(DbError::from)?;
        let schemas = schemas(client, &scope.schemas).await?;
        let expressions = judge_all(client, &scope.tenant_columns).await?.map_err(|policy| {
            CannotRun::because(format!(
                "policy \"{}\" on {} cannot be judged: its stored form is unknown",
                policy.policy, policy.relation
            ))
        })?;
        let input = json!({
            "schemas": schemas,
            "served": scope.served,
            "tenant_columns": scope.tenant_columns,
            "callers": [ANON, AUTHENTICATED, scope.anon_role],
            "login": scope.login,
            "expressions": expressions,
        });
        let mut found = self.run(client, &input).await?;
        found.sort();
        let (relations, policies) = size(client, &schemas).await?;
        let (found, of_platform, _) = apply(found, &platform());
        let (findings, waived, unused_waivers) = apply(found, &scope.waivers);
        Ok(Report { schemas, relations, policies, findings, waived, unused_waivers, of_platform })
    }

    async fn run(&self, client: &Client, input: &Value) -> Result<Vec<Finding>, CannotRun> {
        let mut found = Vec::new();
        for (check, statement) in &self.checks {
            let rows = client.query(statement, &[input]).await.map_err(|error| concerning(check, error))?;
            found.extend(rows.iter().map(|row| finding(check, row)));
        }
        Ok(found)
    }
}

fn concerning(check: &Check, error: tokio_postgres::Error) -> CannotRun {
    CannotRun::because(format!("{}: {}", check.id, DbError::from(error)))
}

fn finding(check: &Check, row: &Row) -> Finding {
    Finding {
        severity: check.severity,
        id: check.id,
        title: check.title,
        relation: row.get("relation"),
        object: row.get("object"),
        detail: row.get("detail"),
        fix: row.get("fix"),
    }
}

/// The wanted schemas, or all that are not PostgreSQL's own.
async fn schemas(client: &Client, wanted: &[String]) -> Result<Vec<String>, CannotRun> {
    let sql = r"select nspname::text from pg_namespace
                where nspname !~ '^pg_' and nspname <> 'information_schema' order by nspname";
    let rows = client.query(sql, &[]).await.map_err(DbError::from)?;
    let all: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    if let Some(name) = wanted.iter().find(|name| !all.contains(name)) {
        return Err(CannotRun::because(format!(
            "there is no schema \"{name}\"; there are: {}",
            all.join(", ")
        )));
    }
    Ok(all.into_iter().filter(|name| wanted.is_empty() || wanted.contains(name)).collect())
}

/// Refuses a schema that does not exist: nothing in it would be found wrong.
pub(crate) async fn require_schemas(client: &Client, wanted: &[String]) -> Result<(), CannotRun> {
    schemas(client, wanted).await.map(drop)
}

/// Relations and policies.
async fn size(client: &Client, schemas: &[String]) -> Result<(u64, u64), DbError> {
    let sql =
        "select count(*), coalesce(sum((select count(*) from pg_policy p where p.polrelid = c.oid)), 0)::int8
               from pg_class c join pg_namespace n on n.oid = c.relnamespace
               where n.nspname = any ($1::text[]) and c.relkind in ('r', 'p', 'v', 'm', 'f')";
    let row = client.query_one(sql, &[&schemas]).await?;
    let count = |at: usize| u64::try_from(row.get::<_, i64>(at)).unwrap_or_default();
    Ok((count(0), count(1)))
}
