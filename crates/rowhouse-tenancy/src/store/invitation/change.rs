//! Making and changing invitations.

use std::net::IpAddr;
use std::time::Duration;

use rowhouse_crypto::OpaqueSecret;
use rowhouse_db::DbError;
use rowhouse_kernel::OrganizationId;
use tokio_postgres::Client;
use tokio_postgres::types::{Json, Type};
use uuid::Uuid;

use super::{Invitation, ProductOffer, TenantOffer, invitation_columns};
use crate::store::Bound;

/// Characters at the end of a token that are shown in lists.
const HINT: usize = 4;

/// What is stored of a letter's token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    digest: String,
    hint: String,
}

impl From<&OpaqueSecret> for Token {
    fn from(secret: &OpaqueSecret) -> Self {
        let text = secret.expose();
        Self { digest: secret.digest(), hint: text[text.len() - HINT..].to_owned() }
    }
}

/// An invitation to be made; the address is in lower case.
#[derive(Debug, Clone)]
pub(crate) struct NewInvitation<'a> {
    pub(crate) id: Uuid,
    pub(crate) email: &'a str,
    pub(crate) role: &'a str,
    pub(crate) tenants: &'a [TenantOffer],
    pub(crate) products: &'a [ProductOffer],
    pub(crate) language: Option<&'a str>,
    pub(crate) lifetime: Duration,
}

/// Makes one by the transaction's actor. The schema refuses a second one for an address that can be accepted.
pub(crate) async fn create(
    client: &Client,
    organization: OrganizationId,
    new: &NewInvitation<'_>,
    token: &Token,
) -> Result<Invitation, DbError> {
    let sql = invitation_columns!(
        "insert into tenancy.invitations as i
           (id, organization_id, email, role, tenants, products, language, token_digest, token_hint, expires_at, sent_times)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, now() + make_interval(secs => $10), array[now()]) returning",
        ""
    );
    let (tenants, products) = (Json(new.tenants), Json(new.products));
    let seconds = new.lifetime.as_secs_f64();
    let parameters: [Bound<'_>; 10] = [
        (&new.id, Type::UUID),
        (&organization.0, Type::UUID),
        (&new.email, Type::TEXT),
        (&new.role, Type::TEXT),
        (&tenants, Type::JSONB),
        (&products, Type::JSONB),
        (&new.language, Type::TEXT),
        (&token.digest, Type::TEXT),
        (&token.hint, Type::TEXT),
        (&seconds, Type::FLOAT8),
    ];
    Ok(Invitation::from_row(&client.query_typed_one(sql, &parameters).await?)?)
}

/// Frees the address of an invitation that has expired, for another one.
pub(crate) async fn end_expired(
    client: &Client,
    organization: OrganizationId,
    email: &str,
) -> Result<(), DbError> {
    let sql = "update tenancy.invitations i set revoked_at = now()
               where i.organization_id = $1 and i.email = $2 and tenancy.status_of(i) = 'expired'";
    client.execute_typed(sql, &[(&organization.0, Type::UUID), (&email, Type::TEXT)]).await?;
    Ok(())
}

/// Gives it another token and its whole lifetime again, by the transaction's actor; `None` if the newest letter is younger
/// than `gap`.
pub(crate) async fn renew(
    client: &Client,
    id: Uuid,
    token: &Token,
    gap: Duration,
) -> Result<Option<Invitation>, DbError> {
    let sql = invitation_columns!(
        "update tenancy.invitations as i
         set token_digest = $2, token_hint = $3, expires_at = now() + (i.expires_at - i.sent_at),
           sent_times = i.sent_times || now(),
           invited_by = coalesce(nullif(current_setting('rowhouse.actor', true), ''), 'sql:' || session_user)
         where i.id = $1 and i.sent_at <= now() - make_interval(secs => $4) returning",
        ""
    );
    let seconds = gap.as_secs_f64();
    let parameters: [Bound<'_>; 4] =
        [(&id, Type::UUID), (&token.digest, Type::TEXT), (&token.hint, Type::TEXT), (&seconds, Type::FLOAT8)];
    let row = client.query_typed_opt(sql, &parameters).await?;
    Ok(row.as_ref().map(Invitation::from_row).transpose()?)
}

pub(crate) async fn revoke(client: &Client, id: Uuid) -> Result<(), DbError> {
    let sql = "update tenancy.invitations set revoked_at = now() where id = $1";
    client.execute_typed(sql, &[(&id, Type::UUID)]).await?;
    Ok(())
}

/// Notes who has accepted it, from where.
pub(crate) async fn accept(
    client: &Client,
    id: Uuid,
    user: Uuid,
    address: Option<IpAddr>,
) -> Result<(), DbError> {
    let sql = "update tenancy.invitations
               set accepted_at = now(), accepted_by = $2, accepted_address = $3 where id = $1";
    let parameters: [Bound<'_>; 3] = [(&id, Type::UUID), (&user, Type::UUID), (&address, Type::INET)];
    client.execute_typed(sql, &parameters).await?;
    Ok(())
}
