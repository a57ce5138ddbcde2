//! Tenants, users and sessions that a proof makes, and the callers who attack with them. Leaves their rows to `row`.

use rowhouse_db::DbError;
use rowhouse_kernel::{ANON, AUTHENTICATED};
use rowhouse_module::CannotRun;
use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio_postgres::Client;

use super::literal::literal;
use crate::settings::WhoseRow;

/// A user with tenant, organization and session; ids as text.
#[derive(Debug, Clone)]
pub(crate) struct Party {
    /// What its values begin with.
    pub(crate) tag: char,
    pub(crate) tenant: String,
    pub(crate) organization: String,
    pub(crate) user: String,
    pub(crate) session: String,
    pub(crate) email: String,
    /// Makes what it writes unforeseeable.
    pub(crate) salt: Option<u64>,
}

impl Party {
    /// The id by which rows are this party's.
    pub(crate) fn id(&self, whose: WhoseRow) -> &str {
        match whose {
            WhoseRow::Tenant => &self.tenant,
            WhoseRow::User => &self.user,
            WhoseRow::Organization => &self.organization,
        }
    }

    /// A text with placeholders filled in.
    pub(crate) fn fill(&self, text: &str) -> String {
        let values = [
            ("{tenant}", &self.tenant),
            ("{organization}", &self.organization),
            ("{user}", &self.user),
            ("{email}", &self.email),
        ];
        values.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
    }
}

/// A caller as the statements of `run.sql` set it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Actor {
    pub(crate) name: String,
    pub(crate) role: String,
    pub(crate) claims: String,
    pub(crate) user: Option<String>,
    pub(crate) session: Option<String>,
    pub(crate) tenant: Option<String>,
    pub(crate) organization: Option<String>,
    /// Index of the party whose rows are the caller's own.
    #[serde(skip)]
    pub(crate) party: Option<usize>,
    /// Whether its token was a good one of that party.
    #[serde(skip)]
    pub(crate) is_live: bool,
}

impl Actor {
    /// Whether a token of it is accepted while its session is live: those of users have the role that the account has, which is the
    /// platform's. Further roles are tried in SQL alone.
    pub(crate) fn has_token(&self) -> bool {
        self.user.is_none() || self.session.is_some()
    }
}

/// Index of the party that is attacked, of a stranger, and of another tenant of the same organization.
pub(crate) const OWNER: usize = 0;
pub(crate) const OTHER: usize = 1;
pub(crate) const SIBLING: usize = 2;
/// The actor to whom the attacked rows belong.
pub(crate) const SELF: usize = 0;

/// Who there is.
#[derive(Debug, Clone)]
pub(crate) struct Scene {
    /// With rows: the owner, the stranger, the sibling.
    pub(crate) parties: Vec<Party>,
    pub(crate) actors: Vec<Actor>,
    /// Whether the login may take the role that owns the project's tables.
    pub(crate) may_be_project: bool,
    /// The statements that made them.
    pub(crate) script: Vec<String>,
}

/// Makes the parties in the transaction that the connection is in.
pub(crate) async fn make(
    client: &Client,
    roles: &[String],
    setup: Option<&str>,
    claims: Option<&str>,
) -> Result<Scene, CannotRun> {
    let sql = "select array(select gen_random_uuid()::text from generate_series(1, 20)),
        coalesce(pg_has_role(session_user, to_regrole('rowhouse_project'), 'member'), false)";
    let row = client.query_one(sql, &[]).await.map_err(DbError::from)?;
    let may_be_project: bool = row.get(1);
    let mut ids = row.get::<_, Vec<String>>(0).into_iter();
    let mut id = move || ids.next().unwrap_or_default();
    let (first, second) = (id(), id());
    let organizations = [&first, &second, &first];
    let mut party = |tag: char, organization: &str| {
        let user = id();
        let email = format!("prove-{tag}-{}@prove.invalid", &user[..8.min(user.len())]);
        Party {
            tag,
            tenant: id(),
            organization: organization.to_owned(),
            user,
            session: id(),
            email,
            salt: None,
        }
    };
    let parties: Vec<Party> =
        "abc".chars().zip(organizations).map(|(tag, organization)| party(tag, organization)).collect();
    // Neither has a tenant of its own: one is in none, one is suspended in the owner's.
    let (nobody, suspended) =
        (party('n', ""), Party { tenant: parties[OWNER].tenant.clone(), ..party('s', &first) });
    let ended = Party { session: id(), ..parties[OWNER].clone() };
    let mut script = script(&parties, &nobody, &suspended, &ended);
    for statement in &script {
        client.batch_execute(statement).await.map_err(DbError::from)?;
    }
    for party in setup.iter().flat_map(|_| &parties) {
        let statements = party.fill(setup.unwrap_or_default());
        set_up(client, &statements).await?;
        script.push(statements);
    }
    let actors = actors(&parties, [&nobody, &suspended, &ended], roles, claims);
    Ok(Scene { parties, actors, may_be_project, script })
}

/// Runs the project's statements inside a function's, where PostgreSQL refuses what would end the proof's transaction and keep
/// what it has made.
pub(super) async fn set_up(client: &Client, statements: &str) -> Result<(), CannotRun> {
    let run = "do $$ begin execute current_setting('rowhouse.prove_setup'); end $$";
    let done = async {
        client.query_one("select set_config('rowhouse.prove_setup', $1, true)", &[&statements]).await?;
        client.batch_execute(run).await?;
        Ok::<(), DbError>(())
    };
    done.await.map_err(|error| {
        let ends = matches!(error.code(), Some("0A000" | "2D000"));
        let remedy = if ends { "; leave out what begins or ends transactions" } else { "" };
        CannotRun::because(format!("rls.setup: {error}{remedy}"))
    })
}

/// Statements that make parties with tenant, membership and session; `label` is the name of everything. Slugs of organizations are
/// unique in the installation, so they come from what nobody else knows beforehand.
pub(super) fn residents(parties: &[Party], label: &str) -> Vec<String> {
    let mut sql: Vec<String> = parties.iter().map(user).collect();
    for (at, party) in parties.iter().enumerate() {
        if !parties[..at].iter().any(|other| other.organization == party.organization) {
            let unique = party.salt.map_or_else(|| party.organization.clone(), |salt| format!("{salt:016x}"));
            sql.push(format!(
                "insert into tenancy.organizations (id, name, slug) values ('{}', '{label}', '{label}-{unique}')",
                party.organization
            ));
        }
        sql.push(format!(
            "insert into tenancy.tenants (id, organization_id, name, slug) values ('{}', '{}', '{label}-{}', '{label}-{}')",
            party.tenant, party.organization, party.tag, party.tag
        ));
        sql.extend(membership(party, "active"));
        sql.push(session(party, Some(&party.tenant), "null"));
    }
    sql
}

fn script(parties: &[Party], nobody: &Party, suspended: &Party, ended: &Party) -> Vec<String> {
    let mut sql = residents(parties, "prove");
    sql.extend([user(nobody), user(suspended)]);
    sql.extend(membership(suspended, "suspended"));
    sql.push(session(nobody, None, "null"));
    sql.push(session(suspended, Some(&suspended.tenant), "null"));
    sql.push(session(ended, Some(&ended.tenant), "now() - interval '1 hour'"));
    sql
}

/// `invited_at`: without it each would get a personal organization.
fn user(party: &Party) -> String {
    format!(
        "insert into auth.users (id, email, role, aud, invited_at, email_confirmed_at) values ('{}', {}, 'authenticated', 'authenticated', now(), now())",
        party.user,
        literal(Some(&party.email))
    )
}

fn membership(party: &Party, status: &str) -> [String; 2] {
    [
        format!(
            "insert into tenancy.organization_members (organization_id, user_id) values ('{}', '{}')",
            party.organization, party.user
        ),
        format!(
            "insert into tenancy.memberships (tenant_id, user_id, status) values ('{}', '{}', '{status}')",
            party.tenant, party.user
        ),
    ]
}

fn session(party: &Party, tenant: Option<&str>, ends: &str) -> String {
    format!(
        "insert into auth.sessions (id, user_id, tenant_id, not_after) values ('{}', '{}', {}, {ends})",
        party.session,
        party.user,
        literal(tenant)
    )
}

fn actors(
    parties: &[Party],
    [nobody, suspended, ended]: [&Party; 3],
    roles: &[String],
    claims: Option<&str>,
) -> Vec<Actor> {
    let owner = &parties[OWNER];
    let actor = |name: &str, role: &str, party: &Party, index: Option<usize>, lies: bool| {
        let has_tenant = party.tag != nobody.tag;
        let tenant = has_tenant.then(|| party.tenant.clone());
        Actor {
            name: name.to_owned(),
            role: role.to_owned(),
            claims: claims_of(party, role, has_tenant, lies.then_some(owner), claims).to_string(),
            user: Some(party.user.clone()),
            // Sessions belong to the role that the platform gives users.
            session: (role == AUTHENTICATED).then(|| party.session.clone()),
            organization: tenant.as_ref().map(|_| party.organization.clone()),
            tenant,
            party: index,
            is_live: true,
        }
    };
    let mut all = vec![
        actor("own tenant", AUTHENTICATED, owner, Some(OWNER), false),
        actor("other tenant", AUTHENTICATED, &parties[OTHER], Some(OTHER), true),
        actor("sibling tenant", AUTHENTICATED, &parties[SIBLING], Some(SIBLING), true),
        actor("no tenant", AUTHENTICATED, nobody, None, true),
        Actor { is_live: false, ..actor("ended session", AUTHENTICATED, ended, None, false) },
        Actor { is_live: false, ..actor("suspended member", AUTHENTICATED, suspended, None, false) },
    ];
    for role in roles.iter().filter(|role| *role != AUTHENTICATED) {
        if role == ANON {
            let claims = json!({"role": role}).to_string();
            all.push(Actor {
                name: role.clone(),
                role: role.clone(),
                claims,
                user: None,
                session: None,
                tenant: None,
                organization: None,
                party: None,
                is_live: true,
            });
        } else {
            all.push(actor(&format!("other tenant as {role}"), role, &parties[OTHER], Some(OTHER), true));
        }
    }
    all
}

/// What a token says. Metadata is the user's to write, so that of an attacker claims to be somebody else.
pub(super) fn claims_of(
    party: &Party,
    role: &str,
    has_tenant: bool,
    lie: Option<&Party>,
    template: Option<&str>,
) -> Value {
    let metadata = lie.map_or(json!({}), |owner| {
        json!({"tenant_id": owner.tenant, "tenant": owner.tenant, "org_id": owner.organization, "organization_id": owner.organization,
            "user_id": owner.user, "sub": owner.user, "email": owner.email, "role": "admin", "is_admin": true, "admin": true})
    });
    let mut claims = json!({
        "sub": party.user, "role": role, "aud": "authenticated", "email": party.email, "phone": "", "aal": "aal1",
        "session_id": party.session, "is_anonymous": false, "app_metadata": {"provider": "email"}, "user_metadata": metadata,
    });
    if let Some(object) = claims.as_object_mut().filter(|_| has_tenant) {
        object.insert("tenant_id".to_owned(), json!(party.tenant));
        object.insert("org_id".to_owned(), json!(party.organization));
        object.insert("tenant_role".to_owned(), json!("member"));
        let further =
            template.and_then(|text| serde_json::from_str::<Map<String, Value>>(&party.fill(text)).ok());
        object.extend(further.into_iter().flatten());
    }
    claims
}
