//! `auth.oauth_consents`, and the sessions that applications have through them.

use rowhouse_tenancy::membership::Membership;
use time::OffsetDateTime;
use tokio_postgres::Client as Connection;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use crate::fault::Fault;
use crate::oauth::Delegation;
use crate::oauth_scope::Scopes;
use crate::request::Client;
use crate::store::session::{NewSession, Opened, SessionRow};

/// An application that a user has allowed something.
#[derive(Debug)]
pub(crate) struct Consent {
    pub(crate) client: Uuid,
    pub(crate) name: Option<String>,
    pub(crate) uri: Option<String>,
    pub(crate) logo_uri: Option<String>,
    pub(crate) scopes: Scopes,
    pub(crate) granted_at: OffsetDateTime,
}

/// What the user has allowed the application, unless it was taken back.
pub(crate) async fn find(connection: &Connection, user: Uuid, client: Uuid) -> Result<Option<Scopes>, Fault> {
    let sql =
        "select scopes from auth.oauth_consents where user_id = $1 and client_id = $2 and revoked_at is null";
    let row = connection.query_typed_opt(sql, &[(&user, Type::UUID), (&client, Type::UUID)]).await?;
    row.map(|row| Ok(Scopes::of_stored(&row.try_get::<_, String>(0)?))).transpose()
}

/// Keeps what the user allows now.
pub(crate) async fn put(
    connection: &Connection,
    id: Uuid,
    user: Uuid,
    delegation: &Delegation,
    now: OffsetDateTime,
) -> Result<(), Fault> {
    let sql = "insert into auth.oauth_consents (id, user_id, client_id, scopes, granted_at) values ($1, $2, $3, $4, $5)
               on conflict (user_id, client_id) do update set scopes = $4, granted_at = $5, revoked_at = null";
    let scopes = delegation.scopes.to_string();
    let parameters: [(&(dyn ToSql + Sync), Type); 5] = [
        (&id, Type::UUID),
        (&user, Type::UUID),
        (&delegation.client, Type::UUID),
        (&scopes, Type::TEXT),
        (&now, Type::TIMESTAMPTZ),
    ];
    connection.execute_typed(sql, &parameters).await?;
    Ok(())
}

/// What the user has allowed, the latest first; `most` at most.
pub(crate) async fn list(connection: &Connection, user: Uuid, most: i64) -> Result<Vec<Consent>, Fault> {
    let sql = "select c.id, c.client_name, c.client_uri, c.logo_uri, g.scopes, g.granted_at
               from auth.oauth_consents g join auth.oauth_clients c on c.id = g.client_id and c.deleted_at is null
               where g.user_id = $1 and g.revoked_at is null order by g.granted_at desc, g.id limit $2";
    let rows = connection.query_typed(sql, &[(&user, Type::UUID), (&most, Type::INT8)]).await?;
    let read = |row: &tokio_postgres::Row| {
        Ok(Consent {
            client: row.try_get("id")?,
            name: row.try_get("client_name")?,
            uri: row.try_get("client_uri")?,
            logo_uri: row.try_get("logo_uri")?,
            scopes: Scopes::of_stored(&row.try_get::<_, String>("scopes")?),
            granted_at: row.try_get("granted_at")?,
        })
    };
    rows.iter().map(read).collect()
}

/// Ends what an application has been given, of one user or of all: consents, codes, sessions.
pub(crate) async fn end(
    connection: &Connection,
    client: Uuid,
    user: Option<Uuid>,
    now: OffsetDateTime,
) -> Result<(), Fault> {
    let sql = "select auth.end_client_access($1, $2, $3)";
    let parameters: [(&(dyn ToSql + Sync), Type); 3] =
        [(&client, Type::UUID), (&user, Type::UUID), (&now, Type::TIMESTAMPTZ)];
    connection.execute_typed(sql, &parameters).await?;
    Ok(())
}

/// Opens a session of the application.
pub(crate) async fn open_session(
    connection: &Connection,
    new: NewSession<'_>,
    (delegation, factor): (&Delegation, Option<Uuid>),
    from: &Client,
    now: OffsetDateTime,
) -> Result<(SessionRow, Option<Membership>), Fault> {
    let sql = "select * from auth.open_client_session($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    let scope = delegation.scopes.to_string();
    let parameters: [(&(dyn ToSql + Sync), Type); 10] = [
        (&new.id, Type::UUID),
        (&new.user, Type::UUID),
        (&delegation.client, Type::UUID),
        (&scope, Type::TEXT),
        (&factor, Type::UUID),
        (&now, Type::TIMESTAMPTZ),
        (&from.user_agent, Type::TEXT),
        (&from.address, Type::INET),
        (&new.others, Type::INT8),
        (&new.claim, Type::UUID),
    ];
    let opened = Opened::from_row(&connection.query_typed_one(sql, &parameters).await?)?;
    Ok((opened.session, opened.membership))
}

/// The session of an application.
#[derive(Debug)]
pub(crate) struct Found {
    /// What it may do.
    pub(crate) scopes: Scopes,
    /// Whether its user may still use the application.
    pub(crate) may_enter: bool,
}

/// `None` if it is not that application's, or gone.
pub(crate) async fn find_session(
    connection: &Connection,
    session: Uuid,
    client: Uuid,
) -> Result<Option<Found>, Fault> {
    let sql = "select coalesce(scopes, ''), auth.enter_application(user_id, oauth_client_id)
               from auth.sessions where id = $1 and oauth_client_id = $2";
    let row = connection.query_typed_opt(sql, &[(&session, Type::UUID), (&client, Type::UUID)]).await?;
    let read = |row: tokio_postgres::Row| {
        let scopes = Scopes::of_stored(&row.try_get::<_, String>(0)?);
        Ok(Found { scopes, may_enter: row.try_get(1)? })
    };
    row.map(read).transpose()
}

/// Whether a user may use an application: one of no product, or of a product that he is entitled to. Notes the use.
pub(crate) async fn enter(connection: &Connection, user: Uuid, client: Uuid) -> Result<bool, Fault> {
    let sql = "select auth.enter_application($1, $2)";
    let row = connection.query_typed_one(sql, &[(&user, Type::UUID), (&client, Type::UUID)]).await?;
    Ok(row.try_get(0)?)
}

/// Ends applications' sessions of a browser, one or all: `auth.end_browser_sessions`. Whose they were.
pub(crate) async fn end_browser_sessions(
    connection: &Connection,
    browser: &str,
    session: Option<Uuid>,
) -> Result<Vec<Uuid>, Fault> {
    let sql = "select auth.end_browser_sessions($1, $2)";
    let rows = connection.query_typed(sql, &[(&browser, Type::TEXT), (&session, Type::UUID)]).await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
}

/// Ends the session that a code gave.
pub(crate) async fn end_session(connection: &Connection, session: Uuid) -> Result<(), Fault> {
    let sql = "delete from auth.sessions where id = $1 and oauth_client_id is not null";
    connection.execute_typed(sql, &[(&session, Type::UUID)]).await?;
    Ok(())
}
