//! Explains a request as a caller, over the data plane's logins, in a transaction that is always rolled back. No
//! session is opened: the flight checks user and tenant only, as for tokens without a session.

use rowhouse_auth::{ActAs, ActAsError, AuthSettings};
use rowhouse_db::flight::{End, Query, RequestContext};
use rowhouse_db::{Control, Database, DatabaseUrls, DbError, DbSettings, connect};
use rowhouse_http::ServerSettings;
use rowhouse_kernel::settings::Settings;
use rowhouse_kernel::{Caller, SERVICE_ROLE, UserId};
use rowhouse_rest::explain::{FACTS, Facts, Prepared, Report, Tree, analyse};
use serde_json::json;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::Request;
use crate::command::migrate::project_url;
use crate::command::serve;
use rowhouse_module::CannotRun;
use rowhouse_module::Project;
use rowhouse_module::Secrets;
use rowhouse_module::State;

/// The caller that `who` names: an e-mail address or id is a user, everything else a role.
pub(super) async fn caller(project: &Project, who: &str, tenant: Option<&str>) -> Result<Caller, CannotRun> {
    if !who.contains('@') && who.parse::<UserId>().is_err() {
        return role(project, who, tenant).await;
    }
    let (settings, _) = crate::modules::settings(project)?;
    let url = State::read(project)
        .map(|state| state.url)
        .or_else(|| settings.get::<ServerSettings>().public_url.clone());
    let control = Control::open(&project_url(project)?, &settings.get::<DbSettings>())?;
    let origin = rowhouse_kernel::Origin::system(&crate::command::clock());
    let act = ActAs { user: who, tenant };
    let found = rowhouse_auth::caller(
        &control,
        act,
        &settings.get::<AuthSettings>(),
        &url.unwrap_or_default(),
        &origin,
    )
    .await;
    found.map_err(|error| {
        CannotRun::because(match error {
            ActAsError::NoSuchUser => format!("no user {who}"),
            ActAsError::Banned => format!("user {who} is banned"),
            ActAsError::NotAMember => {
                format!("no tenant {} that is open to {who}", tenant.unwrap_or_default())
            }
            other => other.to_string(),
        })
    })
}

/// A caller with a role of the data plane.
async fn role(project: &Project, role: &str, tenant: Option<&str>) -> Result<Caller, CannotRun> {
    if tenant.is_some() {
        return Err(CannotRun::because(format!("--tenant is for users; {role} is a role")));
    }
    let login = if role == SERVICE_ROLE { "authenticator_service" } else { "authenticator" };
    let sql = "select pg_catalog.pg_has_role($2::name, r.oid, 'member') from pg_catalog.pg_roles r where r.rolname = $1";
    let client = connect(&project_url(project)?).await?;
    let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
        [(&role, Type::NAME), (&login, Type::NAME)];
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

/// Plans the query, or runs it with `analyze`, and reads catalog data about the plan's relations.
pub(super) async fn explain(
    project: &Project,
    client: &Client,
    caller: &Caller,
    request: &Request,
    prepared: &Prepared,
    analyze: bool,
) -> Result<Report, CannotRun> {
    let (settings, _) = crate::modules::settings(project)?;
    let (database, monitor) =
        Database::open_monitored(&urls(project, &settings)?, &settings.get::<DbSettings>(), true)?;
    let context = RequestContext {
        caller,
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
    let rows = database.data.fly(&context, &Query { sql, params: prepared.query.params.clone() }).await;
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
    let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 5] = [
        (&role, Type::TEXT),
        (&schemas, Type::TEXT_ARRAY),
        (&names, Type::TEXT_ARRAY),
        (&plan_schemas, Type::TEXT_ARRAY),
        (&plan_names, Type::TEXT_ARRAY),
    ];
    // So that policies are printed with every function's schema.
    client.batch_execute("set search_path = ''").await.map_err(DbError::from)?;
    let row = client.query_typed(FACTS, &parameters).await.map_err(DbError::from)?;
    let row = row.first().ok_or_else(|| CannotRun::because("the catalog gave no answer"))?;
    let text: String = row.try_get(0).map_err(DbError::from)?;
    Ok(serde_json::from_str(&text)?)
}

/// Those of the running `up`, or of `DATABASE_URL`.
fn urls(project: &Project, settings: &Settings) -> Result<DatabaseUrls, CannotRun> {
    let mut db = (*settings.get::<DbSettings>()).clone();
    db.url = Some(project_url(project)?);
    db.direct_url = None;
    let has_secrets = project.private("keys/secrets.toml").exists();
    let secrets = if has_secrets { Some(Secrets::ensure(project, &*crate::command::rng())?) } else { None };
    serve::urls(&db, secrets.as_ref())
}
