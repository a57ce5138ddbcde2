//! A claim to a domain, as it is stored and shown.

use rowhouse_kernel::{OrganizationId, TenantId};
use rowhouse_tenancy::permission::{Permission, Scope};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::serde::rfc3339;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::challenge::{Challenge, Proof};

/// Whose domains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// A tenant's own, where it is served.
    Tenant(TenantId),
    /// Those by which people join an organization.
    Organization(OrganizationId),
}

impl Owner {
    /// Where permissions are asked for.
    pub(crate) const fn scope(self) -> Scope {
        match self {
            Self::Tenant(id) => Scope::Tenant(id),
            Self::Organization(id) => Scope::Organization(id),
        }
    }

    /// To see them.
    pub(crate) const fn view(self) -> Permission {
        match self {
            Self::Tenant(_) => Permission::TenantView,
            Self::Organization(_) => Permission::OrganizationView,
        }
    }

    /// To change them.
    pub(crate) const fn update(self) -> Permission {
        match self {
            Self::Tenant(_) => Permission::TenantUpdate,
            Self::Organization(_) => Permission::OrganizationUpdate,
        }
    }

    /// What it is called.
    pub(crate) const fn kind(self) -> &'static str {
        match self {
            Self::Tenant(_) => "tenant",
            Self::Organization(_) => "organization",
        }
    }

    pub(crate) const fn id(self) -> Uuid {
        match self {
            Self::Tenant(id) => id.0,
            Self::Organization(id) => id.0,
        }
    }
}

/// What has become of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    /// Not proved yet.
    Pending,
    /// Its owner's, and nobody else's.
    Verified,
    /// Not proved in time, or the proof has gone.
    Failed,
    /// Given up.
    Released,
}

impl Status {
    const ALL: [Self; 4] = [Self::Pending, Self::Verified, Self::Failed, Self::Released];

    /// As stored.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Verified => "verified",
            Self::Failed => "failed",
            Self::Released => "released",
        }
    }
}

/// A claim.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Claim {
    pub(crate) id: Uuid,
    pub(crate) organization_id: Uuid,
    /// Null for a domain by which people join the organization.
    pub(crate) tenant_id: Option<Uuid>,
    /// In lower case; internationalized ones as `xn--…`.
    pub(crate) name: String,
    pub(crate) status: Status,
    pub(crate) proof: Proof,
    #[serde(with = "rfc3339")]
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub(crate) created_at: OffsetDateTime,
    /// Since when it is verified.
    #[serde(with = "rfc3339::option")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub(crate) verified_at: Option<OffsetDateTime>,
    /// When the proof was seen last.
    #[serde(with = "rfc3339::option")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub(crate) confirmed_at: Option<OffsetDateTime>,
    /// When it was looked for last.
    #[serde(with = "rfc3339::option")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub(crate) checked_at: Option<OffsetDateTime>,
    /// Since when checks of a verified domain find no proof.
    #[serde(with = "rfc3339::option")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub(crate) failing_since: Option<OffsetDateTime>,
    /// What the last check has found instead of the proof.
    pub(crate) last_error: Option<String>,
    /// When it was given up.
    #[serde(with = "rfc3339::option")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub(crate) released_at: Option<OffsetDateTime>,
    /// Of an organization's domain: whether users with an address there may join.
    pub(crate) auto_join: Option<bool>,
    /// The role that they get.
    pub(crate) auto_join_role: Option<String>,
    /// What is published for the proof.
    #[serde(skip)]
    pub(crate) token: String,
    #[serde(skip)]
    pub(crate) version: String,
}

impl Claim {
    pub(crate) fn from_row(row: &Row) -> Result<Self, tokio_postgres::Error> {
        let (status, proof): (String, String) = (row.try_get("status")?, row.try_get("proof")?);
        Ok(Self {
            id: row.try_get("id")?,
            organization_id: row.try_get("organization_id")?,
            tenant_id: row.try_get("tenant_id")?,
            name: row.try_get("name")?,
            // The table's checks name these and no others.
            status: Status::ALL.into_iter().find(|one| one.name() == status).unwrap_or(Status::Failed),
            proof: Proof::read(&proof).unwrap_or(Proof::DnsTxt),
            created_at: row.try_get("created_at")?,
            verified_at: row.try_get("verified_at")?,
            confirmed_at: row.try_get("confirmed_at")?,
            checked_at: row.try_get("checked_at")?,
            failing_since: row.try_get("failing_since")?,
            last_error: row.try_get("last_error")?,
            released_at: row.try_get("released_at")?,
            auto_join: row.try_get("auto_join")?,
            auto_join_role: row.try_get("auto_join_role")?,
            token: row.try_get("challenge")?,
            version: row.try_get("version")?,
        })
    }

    /// What has to be published; CNAME records point below `target`.
    pub(crate) fn challenge(&self, target: &str) -> Challenge {
        Challenge::new(self.proof, &self.name, &self.token, target)
    }
}
