//! `tenancy.tenant_settings`. Leaves sealing to [`crate::sealed`].

use rowhouse_db::DbError;
use rowhouse_kernel::TenantId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use super::Bound;

/// The type of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SettingKind {
    Text,
    Number,
    Boolean,
    /// Any JSON.
    Json,
    /// A text that is never shown again.
    Secret,
}

impl SettingKind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Json => "json",
            Self::Secret => "secret",
        }
    }

    fn named(name: &str) -> Self {
        let all = [Self::Text, Self::Number, Self::Boolean, Self::Secret];
        all.into_iter().find(|kind| kind.name() == name).unwrap_or(Self::Json)
    }
}

/// A setting of a tenant.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Setting {
    pub(crate) name: String,
    pub(crate) kind: SettingKind,
    /// Null for a secret.
    pub(crate) value: Value,
    /// The end of a secret that is long enough.
    pub(crate) hint: Option<String>,
    #[schemars(extend("format" = "date-time"))]
    pub(crate) updated_at: String,
    #[serde(skip)]
    pub(crate) id: Uuid,
    /// The transaction that wrote the row, which differs after every change.
    #[serde(skip)]
    pub(crate) version: String,
}

impl Setting {
    fn from_row(row: &Row) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            name: row.try_get("name")?,
            kind: SettingKind::named(row.try_get("kind")?),
            value: row.try_get::<_, Option<Value>>("value")?.unwrap_or_default(),
            hint: row.try_get("hint")?,
            updated_at: row.try_get("updated_at")?,
            id: row.try_get("id")?,
            version: row.try_get("version")?,
        })
    }
}

macro_rules! setting_columns {
    ($before:literal, $after:literal) => {
        concat!(
            $before,
            " s.id, s.name, s.kind, s.value, s.hint, s.xmin::text as version,
              to_jsonb(s.updated_at at time zone 'UTC') #>> '{}' || 'Z' as updated_at ",
            $after
        )
    };
}

/// All settings of a tenant, by name.
pub(crate) async fn list(client: &Client, tenant: TenantId) -> Result<Vec<Setting>, DbError> {
    let sql =
        setting_columns!("select", "from tenancy.tenant_settings s where s.tenant_id = $1 order by s.name");
    let rows = client.query_typed(sql, &[(&tenant.0, Type::UUID)]).await?;
    Ok(rows.iter().map(Setting::from_row).collect::<Result<_, _>>()?)
}

/// The setting, if there is one.
pub(crate) async fn find(client: &Client, tenant: TenantId, name: &str) -> Result<Option<Setting>, DbError> {
    let sql =
        setting_columns!("select", "from tenancy.tenant_settings s where s.tenant_id = $1 and s.name = $2");
    let row = client.query_typed_opt(sql, &[(&tenant.0, Type::UUID), (&name, Type::TEXT)]).await?;
    Ok(row.as_ref().map(Setting::from_row).transpose()?)
}

/// What a setting becomes: a value, or a sealed secret with its hint.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SettingContent<'a> {
    pub(crate) kind: SettingKind,
    pub(crate) value: Option<&'a Value>,
    pub(crate) sealed: Option<&'a str>,
    pub(crate) hint: Option<&'a str>,
}

/// Makes a setting with this id, or replaces the one of this name, which has this id.
pub(crate) async fn put(
    client: &Client,
    id: Uuid,
    tenant: TenantId,
    name: &str,
    content: SettingContent<'_>,
) -> Result<Setting, DbError> {
    let sql = setting_columns!(
        "insert into tenancy.tenant_settings as s (id, tenant_id, name, kind, value, sealed, hint)
         values ($1, $2, $3, $4, $5, $6, $7)
         on conflict (tenant_id, name) do update set kind = excluded.kind, value = excluded.value, sealed = excluded.sealed,
           hint = excluded.hint, updated_at = clock_timestamp()
         returning",
        ""
    );
    let kind = content.kind.name();
    let parameters: [Bound<'_>; 7] = [
        (&id, Type::UUID),
        (&tenant.0, Type::UUID),
        (&name, Type::TEXT),
        (&kind, Type::TEXT),
        (&content.value, Type::JSONB),
        (&content.sealed, Type::TEXT),
        (&content.hint, Type::TEXT),
    ];
    Ok(Setting::from_row(&client.query_typed_one(sql, &parameters).await?)?)
}

/// Removes a setting; false if there is none.
pub(crate) async fn remove(client: &Client, tenant: TenantId, name: &str) -> Result<bool, DbError> {
    let sql = "delete from tenancy.tenant_settings where tenant_id = $1 and name = $2";
    Ok(client.execute_typed(sql, &[(&tenant.0, Type::UUID), (&name, Type::TEXT)]).await? > 0)
}

/// How many settings a tenant has.
pub(crate) async fn count(client: &Client, tenant: TenantId) -> Result<i64, DbError> {
    let sql = "select count(*) from tenancy.tenant_settings where tenant_id = $1";
    Ok(client.query_typed_one(sql, &[(&tenant.0, Type::UUID)]).await?.try_get(0)?)
}
