//! Two tenants that stay, one with a row in every relation, and what the other must not find. Leaves looking to `tripwire`.

use bytes::Bytes;
use rowhouse_db::DbError;
use rowhouse_db::flight::Query;
use rowhouse_kernel::{AUTHENTICATED, Caller};
use rowhouse_module::CannotRun;
use tokio_postgres::Client;

use super::model::Scope;
use super::scene::{Actor, OTHER, OWNER, Party, Scene, claims_of, residents, set_up};
use super::stage::Stage;
use super::world::World;
use super::{LIMITS, Model, Plan, model};
use crate::settings::Reach;

/// What the two tenants are called, for those who list them. Nothing is found by it: a tenant of any name may sign up.
const LABEL: &str = "tripwire";

/// The tenants' callers, and what to look for.
#[derive(Debug)]
pub(crate) struct Wires {
    /// Whose rows they are: finds each of them.
    pub(crate) owner: Caller,
    /// Must find none.
    pub(crate) other: Caller,
    pub(crate) wires: Vec<Wire>,
    /// Relations in which the owner has no row, and why.
    pub(crate) missing: Vec<(String, String)>,
}

/// A row of the owner's.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) relation: String,
    pub(crate) query: Query,
}

/// Finds the tenants and their rows, or makes them, in a transaction of its own.
///
/// # Errors
/// The database's, and declarations of what does not exist.
pub(crate) async fn prepare(client: &Client, plan: &Plan) -> Result<Wires, CannotRun> {
    // Two processes may start at once.
    let begin =
        format!("begin; {LIMITS}; select pg_advisory_xact_lock(hashtextextended('rowhouse.tripwire', 0))");
    client.batch_execute(&begin).await.map_err(DbError::from)?;
    let wires = prepare_within(client, plan).await;
    let end = if wires.is_ok() { "commit" } else { "rollback" };
    client.batch_execute(end).await.map_err(DbError::from)?;
    wires
}

async fn prepare_within(client: &Client, plan: &Plan) -> Result<Wires, CannotRun> {
    let Model { catalog, declared, .. } = model(client, plan).await?;
    let path = format!("set local search_path = {}", plan.search_path);
    client.batch_execute(&path).await.map_err(DbError::from)?;
    let parties = vec![party(client, 'b').await?, party(client, 'a').await?];
    make(client, &parties, plan).await?;
    let scene = scene(client, parties, plan).await?;
    let world = World::of(&scene);
    let mut stage = Stage { catalog, declared, scene, world, spares_shared: true };
    stage.fill(client, &[OWNER]).await?;
    let [owner, other] = [OWNER, OTHER].map(|at| caller(&stage.scene, at));
    let mut all = Wires { owner: owner?, other: other?, wires: Vec::new(), missing: Vec::new() };
    for at in 0..stage.catalog.relations.len() {
        add(&mut all, &stage, at);
    }
    Ok(all)
}

/// The ids are always the same, by which the tenants are found. What a stranger could take before them is random: address, slug and
/// values of rows.
async fn party(client: &Client, tag: char) -> Result<Party, CannotRun> {
    let id = |kind: u32| format!("0000{kind:04}-0000-4000-8000-77697265000{tag}");
    let user = id(3);
    let sql = "select coalesce((select email::text from auth.users where id = $1::text::uuid), gen_random_uuid() || '@' || $2),
        hashtextextended(gen_random_uuid()::text, 0)";
    let row = client.query_one(sql, &[&user, &format!("{LABEL}.invalid")]).await.map_err(DbError::from)?;
    let (email, salt) = (row.get(0), row.get::<_, i64>(1).cast_unsigned());
    Ok(Party { tag, tenant: id(1), organization: id(2), user, session: id(4), email, salt: Some(salt) })
}

/// Makes the tenants unless they are there, and lets their sessions live.
async fn make(client: &Client, parties: &[Party], plan: &Plan) -> Result<(), CannotRun> {
    for party in parties {
        let sql = "select exists (select from tenancy.tenants where id = $1::text::uuid)";
        let is_there: bool = client.query_one(sql, &[&party.tenant]).await.map_err(DbError::from)?.get(0);
        if is_there {
            let sql = "insert into auth.sessions (id, user_id, tenant_id) values ($1::text::uuid, $2::text::uuid, $3::text::uuid)
                on conflict (id) do update set not_after = null, tenant_id = excluded.tenant_id";
            let ids: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
                [&party.session, &party.user, &party.tenant];
            client.execute(sql, &ids).await.map_err(DbError::from)?;
            continue;
        }
        for statement in residents(std::slice::from_ref(party), LABEL) {
            client.batch_execute(&statement).await.map_err(DbError::from)?;
        }
        if let Some(setup) = &plan.settings.setup {
            set_up(client, &party.fill(setup)).await?;
        }
    }
    Ok(())
}

async fn scene(client: &Client, parties: Vec<Party>, plan: &Plan) -> Result<Scene, CannotRun> {
    let sql = "select coalesce(pg_has_role(session_user, to_regrole('rowhouse_project'), 'member'), false)";
    let may_be_project = client.query_one(sql, &[]).await.map_err(DbError::from)?.get(0);
    let actor = |(at, party): (usize, &Party)| Actor {
        name: format!("{LABEL} {}", party.tag),
        role: AUTHENTICATED.to_owned(),
        claims: claims_of(party, AUTHENTICATED, true, None, plan.settings.claims.as_deref()).to_string(),
        user: Some(party.user.clone()),
        session: Some(party.session.clone()),
        tenant: Some(party.tenant.clone()),
        organization: Some(party.organization.clone()),
        party: Some(at),
        is_live: true,
    };
    let actors = parties.iter().enumerate().map(actor).collect();
    Ok(Scene { parties, actors, may_be_project, script: Vec::new() })
}

fn caller(scene: &Scene, at: usize) -> Result<Caller, CannotRun> {
    let (party, actor) = (&scene.parties[at], &scene.actors[at]);
    let wrong = |_| CannotRun::because("the id of a tripwire is no UUID");
    Ok(Caller {
        role: AUTHENTICATED.into(),
        claims: actor.claims.as_str().into(),
        user: Some(party.user.parse().map_err(wrong)?),
        session: Some(party.session.parse().map_err(wrong)?),
        api_key: None,
        organization: Some(party.organization.parse().map_err(wrong)?),
        tenant: Some(party.tenant.parse().map_err(wrong)?),
        expires_at: None,
    })
}

/// A look at the owner's row of a relation that others may not read.
fn add(all: &mut Wires, stage: &Stage, at: usize) {
    let (relation, declared) = (&stage.catalog.relations[at], &stage.declared[at].1);
    let is_closed = relation.is_closed(AUTHENTICATED, "select");
    if is_closed || declared.read != Reach::Own || declared.scope == Scope::Nobody {
        return;
    }
    let rows = stage.rows(at);
    let Some(row) = rows.of.get(&OWNER) else {
        let reason = rows.missing.unwrap_or_else(|| "no row of the tripwire shows in it".to_owned());
        all.missing.push((relation.name.clone(), reason));
        return;
    };
    let columns = declared.scope.columns();
    let conditions: Vec<String> =
        columns.iter().enumerate().map(|(at, column)| format!("{column} = ${}", at + 1)).collect();
    let value = |column: &&str| row.get(*column).cloned().flatten().map(Bytes::from);
    let sql = format!("select 1 from {} where {} limit 1", relation.name, conditions.join(" and "));
    let query = Query { sql: sql.into(), params: columns.iter().map(value).collect() };
    all.wires.push(Wire { relation: relation.name.clone(), query });
}
