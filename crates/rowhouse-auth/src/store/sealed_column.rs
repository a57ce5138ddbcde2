//! Columns with sealed texts, and their values a batch at a time.

use rowhouse_tenancy::sealed;
use tokio_postgres::Client;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::KeyStoreError;

/// A column; its table has a uuid as key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SealedColumn {
    FactorSecret,
    ProviderSecret,
    FlowState,
    FlowAccessToken,
    FlowRefreshToken,
    TenantSetting,
}

impl SealedColumn {
    pub(crate) const ALL: [Self; 6] = [
        Self::FactorSecret,
        Self::ProviderSecret,
        Self::FlowState,
        Self::FlowAccessToken,
        Self::FlowRefreshToken,
        Self::TenantSetting,
    ];

    /// Table and column.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::FactorSecret => "auth.mfa_factors.secret",
            Self::ProviderSecret => "auth.custom_oauth_providers.client_secret",
            Self::FlowState => "auth.flow_state.provider_state",
            Self::FlowAccessToken => "auth.flow_state.provider_access_token",
            Self::FlowRefreshToken => "auth.flow_state.provider_refresh_token",
            Self::TenantSetting => sealed::COLUMN,
        }
    }

    /// Table and column, for statements: constants of the program.
    fn parts(self) -> (&'static str, &'static str) {
        self.name().rsplit_once('.').unwrap_or_default()
    }

    fn select(self) -> String {
        if self == Self::TenantSetting {
            return sealed::SELECT.to_owned();
        }
        let (table, column) = self.parts();
        format!(
            "select id, {column} from {table} where {column} like 'sealed:%' and id > $1 order by id limit $2 for update"
        )
    }

    fn update(self) -> String {
        if self == Self::TenantSetting {
            return sealed::UPDATE.to_owned();
        }
        let (table, column) = self.parts();
        format!("update {table} set {column} = $2 where id = $1")
    }
}

/// The next values behind a key, locked.
pub(crate) async fn list(
    client: &Client,
    column: SealedColumn,
    after: Uuid,
    most: i64,
) -> Result<Vec<(Uuid, String)>, KeyStoreError> {
    let rows = client.query_typed(&column.select(), &[(&after, Type::UUID), (&most, Type::INT8)]).await?;
    Ok(rows
        .iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect::<Result<_, tokio_postgres::Error>>()?)
}

/// Replaces a value.
pub(crate) async fn put(
    client: &Client,
    column: SealedColumn,
    id: Uuid,
    value: &str,
) -> Result<(), KeyStoreError> {
    client.execute_typed(&column.update(), &[(&id, Type::UUID), (&value, Type::TEXT)]).await?;
    Ok(())
}
