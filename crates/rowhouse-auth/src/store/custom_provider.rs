//! `auth.custom_oauth_providers`.

use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use time::serde::rfc3339;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use crate::fault::Fault;
use crate::model::Object;

/// A provider as the admin API tells it: GoTrue's JSON. The secret is never told.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct CustomProvider {
    pub(crate) id: Uuid,
    /// `oidc` or `oauth2`.
    pub(crate) provider_type: String,
    /// `custom:` and a name.
    pub(crate) identifier: String,
    pub(crate) name: String,
    pub(crate) client_id: String,
    /// Sealed.
    #[serde(skip)]
    pub(crate) client_secret: String,
    pub(crate) acceptable_client_ids: Vec<String>,
    pub(crate) scopes: Vec<String>,
    pub(crate) pkce_enabled: bool,
    pub(crate) attribute_mapping: Object,
    pub(crate) custom_claims_allowlist: Vec<String>,
    pub(crate) authorization_params: Object,
    pub(crate) enabled: bool,
    pub(crate) email_optional: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) issuer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) discovery_url: Option<String>,
    pub(crate) skip_nonce_check: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) authorization_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) userinfo_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) jwks_uri: Option<String>,
    #[serde(with = "rfc3339")]
    pub(crate) created_at: OffsetDateTime,
    #[serde(with = "rfc3339")]
    pub(crate) updated_at: OffsetDateTime,
}

impl CustomProvider {
    pub(crate) fn is_oidc(&self) -> bool {
        self.provider_type == "oidc"
    }

    fn from_row(row: &Row) -> Result<Self, Fault> {
        let object = |name: &str| -> Result<Object, Fault> {
            Ok(row.try_get::<_, Value>(name)?.as_object().cloned().unwrap_or_default())
        };
        Ok(Self {
            id: row.try_get("id")?,
            provider_type: row.try_get("provider_type")?,
            identifier: row.try_get("identifier")?,
            name: row.try_get("name")?,
            client_id: row.try_get("client_id")?,
            client_secret: row.try_get("client_secret")?,
            acceptable_client_ids: row.try_get("acceptable_client_ids")?,
            scopes: row.try_get("scopes")?,
            pkce_enabled: row.try_get("pkce_enabled")?,
            attribute_mapping: object("attribute_mapping")?,
            custom_claims_allowlist: row.try_get("custom_claims_allowlist")?,
            authorization_params: object("authorization_params")?,
            enabled: row.try_get("enabled")?,
            email_optional: row.try_get("email_optional")?,
            issuer: row.try_get("issuer")?,
            discovery_url: row.try_get("discovery_url")?,
            skip_nonce_check: row.try_get("skip_nonce_check")?,
            authorization_url: row.try_get("authorization_url")?,
            token_url: row.try_get("token_url")?,
            userinfo_url: row.try_get("userinfo_url")?,
            jwks_uri: row.try_get("jwks_uri")?,
            created_at: row.try_get("created_at")?,
            updated_at: row.try_get("updated_at")?,
        })
    }
}

pub(crate) async fn find(client: &Client, identifier: &str) -> Result<Option<CustomProvider>, Fault> {
    let sql = "select * from auth.custom_oauth_providers where identifier = $1";
    let row = client.query_typed_opt(sql, &[(&identifier, Type::TEXT)]).await?;
    row.as_ref().map(CustomProvider::from_row).transpose()
}

/// All, or those of one type, in the order of their making; their number is bounded when they are made.
pub(crate) async fn list(client: &Client, provider_type: Option<&str>) -> Result<Vec<CustomProvider>, Fault> {
    let sql = "select * from auth.custom_oauth_providers where $1::text is null or provider_type = $1
               order by created_at, id";
    let rows = client.query_typed(sql, &[(&provider_type, Type::TEXT)]).await?;
    rows.iter().map(CustomProvider::from_row).collect()
}

/// How many there are; until the transaction ends nobody else makes one.
pub(crate) async fn lock_and_count(client: &Client) -> Result<i64, Fault> {
    client.batch_execute("lock table auth.custom_oauth_providers in share row exclusive mode").await?;
    let sql = "select count(*) from auth.custom_oauth_providers";
    Ok(client.query_typed_one(sql, &[]).await?.try_get(0)?)
}

/// Writes a provider, new or changed.
pub(crate) async fn put(client: &Client, provider: &CustomProvider) -> Result<(), Fault> {
    let p = provider;
    let sql = "insert into auth.custom_oauth_providers as known (id, provider_type, identifier, name, client_id, client_secret,
                 acceptable_client_ids, scopes, pkce_enabled, attribute_mapping, custom_claims_allowlist, authorization_params,
                 enabled, email_optional, issuer, discovery_url, skip_nonce_check, authorization_url, token_url, userinfo_url,
                 jwks_uri, created_at, updated_at)
               values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23)
               on conflict (id) do update set name = $4, client_id = $5, client_secret = $6, acceptable_client_ids = $7,
                 scopes = $8, pkce_enabled = $9, attribute_mapping = $10, custom_claims_allowlist = $11,
                 authorization_params = $12, enabled = $13, email_optional = $14, issuer = $15, discovery_url = $16,
                 skip_nonce_check = $17, authorization_url = $18, token_url = $19, userinfo_url = $20, jwks_uri = $21,
                 updated_at = $23";
    let (mapping, params) =
        (Value::Object(p.attribute_mapping.clone()), Value::Object(p.authorization_params.clone()));
    client
        .execute_typed(
            sql,
            &[
                (&p.id, Type::UUID),
                (&p.provider_type, Type::TEXT),
                (&p.identifier, Type::TEXT),
                (&p.name, Type::TEXT),
                (&p.client_id, Type::TEXT),
                (&p.client_secret, Type::TEXT),
                (&p.acceptable_client_ids, Type::TEXT_ARRAY),
                (&p.scopes, Type::TEXT_ARRAY),
                (&p.pkce_enabled, Type::BOOL),
                (&mapping, Type::JSONB),
                (&p.custom_claims_allowlist, Type::TEXT_ARRAY),
                (&params, Type::JSONB),
                (&p.enabled, Type::BOOL),
                (&p.email_optional, Type::BOOL),
                (&p.issuer, Type::TEXT),
                (&p.discovery_url, Type::TEXT),
                (&p.skip_nonce_check, Type::BOOL),
                (&p.authorization_url, Type::TEXT),
                (&p.token_url, Type::TEXT),
                (&p.userinfo_url, Type::TEXT),
                (&p.jwks_uri, Type::TEXT),
                (&p.created_at, Type::TIMESTAMPTZ),
                (&p.updated_at, Type::TIMESTAMPTZ),
            ],
        )
        .await?;
    Ok(())
}

/// Removes a provider; identities of its people stay.
pub(crate) async fn delete(client: &Client, identifier: &str) -> Result<bool, Fault> {
    let sql = "delete from auth.custom_oauth_providers where identifier = $1";
    Ok(client.execute_typed(sql, &[(&identifier, Type::TEXT)]).await? == 1)
}
