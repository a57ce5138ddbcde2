//! `auth.oauth_clients`.

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use crate::fault::Fault;
use crate::oauth::client::{AuthMethod, ClientType, GrantType, OauthClient, Registration};

/// Between entries of a list in one column, as GoTrue has it.
const COMMA: &str = ",";

macro_rules! columns {
    () => {
        "id, client_secret_hash, registration_type::text, client_type::text, token_endpoint_auth_method, redirect_uris,
         grant_types, client_name, client_uri, logo_uri, created_at, updated_at, post_logout_redirect_uris"
    };
}

/// A row with a word that nobody knows is as good as none: it authenticates nobody.
fn from_row(row: &Row) -> Result<Option<OauthClient>, Fault> {
    let word = |name: &str| row.try_get::<_, String>(name);
    let list = |text: String| {
        text.split(COMMA).filter(|entry| !entry.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    let (registration, client_type, auth_method) = (
        Registration::parse(&word("registration_type")?),
        ClientType::parse(&word("client_type")?),
        AuthMethod::parse(&word("token_endpoint_auth_method")?),
    );
    let (Some(registration), Some(client_type), Some(auth_method)) = (registration, client_type, auth_method)
    else {
        return Ok(None);
    };
    let grant_types = list(word("grant_types")?);
    Ok(Some(OauthClient {
        id: row.try_get("id")?,
        secret_hash: row.try_get("client_secret_hash")?,
        registration,
        client_type,
        auth_method,
        redirect_uris: list(word("redirect_uris")?),
        post_logout_redirect_uris: list(word("post_logout_redirect_uris")?),
        grant_types: grant_types.iter().filter_map(|name| GrantType::parse(name)).collect(),
        name: row.try_get("client_name")?,
        uri: row.try_get("client_uri")?,
        logo_uri: row.try_get("logo_uri")?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    }))
}

/// An application that was not deleted.
pub(crate) async fn find(client: &Client, id: Uuid) -> Result<Option<OauthClient>, Fault> {
    let sql = concat!("select ", columns!(), " from auth.oauth_clients where id = $1 and deleted_at is null");
    let row = client.query_typed_opt(sql, &[(&id, Type::UUID)]).await?;
    row.as_ref().map_or(Ok(None), from_row)
}

/// The same, locked for a change that depends on what is there.
pub(crate) async fn lock(client: &Client, id: Uuid) -> Result<Option<OauthClient>, Fault> {
    let sql = concat!(
        "select ",
        columns!(),
        " from auth.oauth_clients where id = $1 and deleted_at is null for no key update"
    );
    let row = client.query_typed_opt(sql, &[(&id, Type::UUID)]).await?;
    row.as_ref().map_or(Ok(None), from_row)
}

/// One page, newest first, and the number of all.
pub(crate) async fn list(client: &Client, limit: i64, offset: i64) -> Result<(Vec<OauthClient>, i64), Fault> {
    let sql = concat!(
        "select ",
        columns!(),
        " from auth.oauth_clients where deleted_at is null order by created_at desc, id desc limit $1 offset $2"
    );
    let rows = client.query_typed(sql, &[(&limit, Type::INT8), (&offset, Type::INT8)]).await?;
    let clients: Vec<Option<OauthClient>> = rows.iter().map(from_row).collect::<Result<_, _>>()?;
    let count = "select count(*) from auth.oauth_clients where deleted_at is null";
    let total = client.query_typed_one(count, &[]).await?.try_get(0)?;
    Ok((clients.into_iter().flatten().collect(), total))
}

/// How many were registered so; until the transaction ends nobody else registers one.
pub(crate) async fn lock_and_count(client: &Client, registration: Registration) -> Result<i64, Fault> {
    client.batch_execute("lock table auth.oauth_clients in share row exclusive mode").await?;
    let sql = "select count(*) from auth.oauth_clients
               where registration_type = $1::text::auth.oauth_registration_type and deleted_at is null";
    Ok(client.query_typed_one(sql, &[(&registration.as_str(), Type::TEXT)]).await?.try_get(0)?)
}

/// Deletes the oldest application that registered itself and that nobody has agreed to. False if there is none.
pub(crate) async fn evict_unused(client: &Client) -> Result<bool, Fault> {
    let sql = "delete from auth.oauth_clients where id = (
                 select c.id from auth.oauth_clients c
                 where c.registration_type = 'dynamic' and c.deleted_at is null and auth.is_unused_client(c.id)
                 order by c.created_at, c.id limit 1)";
    Ok(client.execute_typed(sql, &[]).await? == 1)
}

/// Writes an application, new or changed.
pub(crate) async fn put(client: &Client, new: &OauthClient) -> Result<(), Fault> {
    let sql = "insert into auth.oauth_clients as known (id, client_secret_hash, registration_type, client_type,
                 token_endpoint_auth_method, redirect_uris, grant_types, client_name, client_uri, logo_uri, created_at, updated_at,
                 post_logout_redirect_uris)
               values ($1, $2, $3::text::auth.oauth_registration_type, $4::text::auth.oauth_client_type, $5, $6, $7, $8, $9, $10,
                 $11, $12, $13)
               on conflict (id) do update set client_secret_hash = $2, token_endpoint_auth_method = $5, redirect_uris = $6,
                 grant_types = $7, client_name = $8, client_uri = $9, logo_uri = $10, updated_at = $12,
                 post_logout_redirect_uris = $13";
    let grant_types: Vec<&str> = new.grant_types.iter().map(|grant| grant.as_str()).collect();
    let (redirect_uris, grant_types) = (new.redirect_uris.join(COMMA), grant_types.join(COMMA));
    let post_logout_redirect_uris = new.post_logout_redirect_uris.join(COMMA);
    let parameters: [(&(dyn ToSql + Sync), Type); 13] = [
        (&new.id, Type::UUID),
        (&new.secret_hash, Type::TEXT),
        (&new.registration.as_str(), Type::TEXT),
        (&new.client_type.as_str(), Type::TEXT),
        (&new.auth_method.as_str(), Type::TEXT),
        (&redirect_uris, Type::TEXT),
        (&grant_types, Type::TEXT),
        (&new.name, Type::TEXT),
        (&new.uri, Type::TEXT),
        (&new.logo_uri, Type::TEXT),
        (&new.created_at, Type::TIMESTAMPTZ),
        (&new.updated_at, Type::TIMESTAMPTZ),
        (&post_logout_redirect_uris, Type::TEXT),
    ];
    client.execute_typed(sql, &parameters).await?;
    Ok(())
}

/// Refuses an application from here on. False if there is none.
pub(crate) async fn delete(client: &Client, id: Uuid, now: time::OffsetDateTime) -> Result<bool, Fault> {
    let sql = "update auth.oauth_clients set deleted_at = $2, updated_at = $2, client_secret_hash = null
               where id = $1 and deleted_at is null";
    Ok(client.execute_typed(sql, &[(&id, Type::UUID), (&now, Type::TIMESTAMPTZ)]).await? == 1)
}
