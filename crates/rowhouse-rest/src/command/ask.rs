//! Explains a request as a caller, over the data plane's logins, in a transaction that is always rolled back. No
//! session is opened: the flight checks user and tenant only, as for tokens without a session.

use rowhouse_db::flight::{End, Query, RequestContext};
use rowhouse_db::{Database, DbError, DbSettings};
use rowhouse_kernel::{Caller, SERVICE_ROLE, UserId};
use rowhouse_module::{CannotRun, CommandContext};
use serde_json::json;
use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};

use super::Request;
use crate::explain::{ExplainReport, FACTS, Facts, Prepared, Tree, analyse};

/// The caller that `who` names: an e-mail address or id is a user, everything else a role.
pub(super) async fn caller(
    context: &CommandContext,
    who: &str,
    tenant: Option<&str>,
) -> Result<Caller, CannotRun> {
    if !who.contains('@') && who.parse::<UserId>().is_err() {
        return role(context, who, tenant).await;
    }
    let find = context.find_caller.ok_or_else(|| CannotRun::because("no module knows users"))?;
    find(context, who, tenant).await
}

/// A caller with a role of the data plane.
async fn role(context: &CommandContext, role: &str, tenant: Option<&str>) -> Result<Caller, CannotRun> {
    if tenant.is_some() {
        return Err(CannotRun::because(format!("--tenant is for users; {role} is a role")));
    }
    let login = if role == SERVICE_ROLE { "authenticator_service" } else { "authenticator" };
    let sql = "select pg_catalog.pg_has_role($2::name, r.oid, 'member') from pg_catalog.pg_roles r where r.rolname = $1";
    let client = context.connect().await?;
    let parameters: [(&(dyn ToSql + Sync), Type); 2] = [(&role, Type::NAME), (&login, Type::NAME)];
    let row = client.query_typed(sql, &parameters).await.map_err(DbError::from)?;
    let may = row.first().map(|row| row.try_get::<_, bool>(0)).transpose().map_err(DbError::from)?;
    match may {
        None => Err(CannotRun::because(format!("no user or role {role}"))),
        Some(false) => Err(CannotRun::because(format!("requests cannot have the role {role}"))),
        Some(true) => {
            let claims = json!({ "role": role }).to_string();
            Ok(Caller { role: role.into(), claims: claims.into(), ..Caller::anonymous() })
        }
    }
}

/// Plans the query, or runs it with `analyze`, and looks up what the plan speaks of.
pub(super) async fn ask(
    context: &CommandContext,
    client: &Client,
    caller: &Caller,
    request: &Request,
    prepared: &Prepared,
    analyze: bool,
) -> Result<ExplainReport, CannotRun> {
    let settings = context.settings()?.get::<DbSettings>();
    let (database, monitor) = Database::open_monitored(&context.database_urls()?, &settings, true)?;
    let asked = RequestContext {
        caller,
        address: None,
        method: request.method.as_str(),
        path: request.path(),
        headers: &prepared.headers,
        cookies: &prepared.cookies,
        access: prepared.access,
        search_path: &prepared.search_path,
        time_zone: prepared.time_zone.as_deref(),
        before: prepared.before.as_ref(),
        isolation: prepared.isolation,
        end: End::Rollback,
    };
    let options = if analyze { "format json, verbose, analyze" } else { "format json, verbose" };
    let sql = format!("explain ({options}) {}", prepared.query.sql).into();
    let rows = database.data.fly(&asked, &Query { sql, params: prepared.query.params.clone() }).await;
    monitor.abort();
    let rows = rows.map_err(|error| CannotRun::because(format!("the database refuses: {error}")))?;
    let no_plan = || CannotRun::because("the database answered without a plan");
    let text = rows.first().and_then(|row| row.first()?.as_ref()).ok_or_else(no_plan)?;
    let tree = Tree::read(&serde_json::from_slice(text)?).ok_or_else(no_plan)?;
    let facts = facts(client, &caller.role, prepared, &tree).await?;
    Ok(analyse(tree, &facts))
}

async fn facts(client: &Client, role: &str, prepared: &Prepared, tree: &Tree) -> Result<Facts, CannotRun> {
    let mut planned: Vec<(&str, &str)> = Vec::new();
    tree.root.visit(&mut |node, _| planned.extend(node.relation()));
    let (plan_schemas, plan_names): (Vec<&str>, Vec<&str>) = planned.into_iter().unzip();
    let named = prepared.relations.iter().map(|relation| (relation.schema.as_str(), relation.name.as_str()));
    let (schemas, names): (Vec<&str>, Vec<&str>) = named.unzip();
    let parameters: [(&(dyn ToSql + Sync), Type); 5] = [
        (&role, Type::TEXT),
        (&schemas, Type::TEXT_ARRAY),
        (&names, Type::TEXT_ARRAY),
        (&plan_schemas, Type::TEXT_ARRAY),
        (&plan_names, Type::TEXT_ARRAY),
    ];
    // So that policies come with every function's schema.
    client.batch_execute("set search_path = ''").await.map_err(DbError::from)?;
    let row = client.query_typed(FACTS, &parameters).await.map_err(DbError::from)?;
    let row = row.first().ok_or_else(|| CannotRun::because("the catalog gave no answer"))?;
    let text: String = row.try_get(0).map_err(DbError::from)?;
    Ok(serde_json::from_str(&text)?)
}
