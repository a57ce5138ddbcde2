//! Whether all users have a profile, which deployment guides monitor as "user sync", and what makes missing ones.
//! Leaves reporting to `rowhouse-ops`, and the commands to `rowhouse-operator`.

use rowhouse_db::DbError;
use serde::Serialize;
use tokio_postgres::Client;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

/// Up to this many missing profiles are reported as `warning`.
const FEW: i64 = 5;
/// Functions and trigger of a sign-up; can be run again.
const SIGN_UP: &str = include_str!("../migrations/20261121000230_tenancy_sign_up.sql");

/// The roles that a profile can have; the first is that of a sign-up.
pub const PROFILE_ROLES: [&str; 8] = [
    "member",
    "admin",
    "manager",
    "viewer",
    "portfolio_manager",
    "project_manager",
    "resource_manager",
    "team_member",
];

/// The trigger that makes the profile in the transaction of a sign-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Trigger {
    /// It fires.
    Active,
    /// There is none, or another one of its name.
    Missing,
    /// It has been disabled.
    Disabled,
}

impl Trigger {
    /// In reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Missing => "missing",
            Self::Disabled => "disabled",
        }
    }

    fn parse(word: &str) -> Self {
        match word {
            "active" => Self::Active,
            "disabled" => Self::Disabled,
            _ => Self::Missing,
        }
    }
}

/// Users and profiles, counted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UserSync {
    /// `healthy` when nothing is missing, `warning` for up to five profiles, else, and without the trigger, `degraded`.
    pub status: &'static str,
    /// Rows of `auth.users`, those included that are anonymous, of single sign-on, banned or deleted softly: a sign-up
    /// makes a profile for each.
    pub total_auth_users: i64,
    /// Of those, how many have a profile.
    pub total_profiles: i64,
    /// Of those, how many have none.
    pub missing_profiles: i64,
    /// Share with a profile in percent, two decimals; 100 when there are no users.
    pub sync_percentage: f64,
    /// Whether new users get one.
    #[serde(skip)]
    pub trigger: Trigger,
}

impl UserSync {
    /// Counts in one statement.
    ///
    /// # Errors
    /// The database's.
    pub async fn measure(client: &Client) -> Result<Self, DbError> {
        let row = client.query_typed_one(include_str!("../sql/user_sync.sql"), &[]).await?;
        let trigger = Trigger::parse(row.try_get("trigger")?);
        Ok(Self::from_counts(
            row.try_get("users")?,
            row.try_get("with_profile")?,
            row.try_get("without_profile")?,
            trigger,
        ))
    }

    fn from_counts(users: i64, profiles: i64, missing: i64, trigger: Trigger) -> Self {
        let percentage = if users == 0 { 100.0 } else { profiles as f64 * 100.0 / users as f64 };
        Self {
            status: match (trigger, missing) {
                (Trigger::Active, 0) => "healthy",
                (Trigger::Active, 1..=FEW) => "warning",
                _ => "degraded",
            },
            total_auth_users: users,
            total_profiles: profiles,
            missing_profiles: missing,
            // Rounded down: 99.996 % is not complete.
            sync_percentage: (percentage * 100.0).floor() / 100.0,
            trigger,
        }
    }

    /// Whether every user has a profile, and new ones get theirs.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.missing_profiles == 0 && self.trigger == Trigger::Active
    }
}

/// The next users by id, and whether each lacks a profile: a page of `limit` after one.
///
/// # Errors
/// The database's.
pub async fn list_users(
    client: &Client,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<(Uuid, bool)>, DbError> {
    // The page is cut before profiles are looked up, so that its cost does not grow with the number of users.
    let sql = "with page as materialized (
                 select u.id from auth.users u where $1::uuid is null or u.id > $1 order by u.id limit $2)
               select page.id, p.user_id is null as is_missing
               from page left join tenancy.user_profiles p on p.user_id = page.id order by page.id";
    let rows = client.query_typed(sql, &[(&after, Type::UUID), (&limit, Type::INT8)]).await?;
    let pairs = rows.iter().map(|row| Ok((row.try_get("id")?, row.try_get("is_missing")?)));
    Ok(pairs.collect::<Result<_, tokio_postgres::Error>>()?)
}

/// Makes the profiles that these users lack, as a sign-up does, and returns whose; existing ones stay as they are. Those
/// of them who belong to no organization and were not invited get one of their own with a tenant, too.
///
/// # Errors
/// The database's; SQLSTATE 23514 for a role that is not in [`PROFILE_ROLES`].
pub async fn create_profiles(
    tx: &Client,
    users: &[Uuid],
    role: Option<&str>,
    is_active: bool,
) -> Result<Vec<Uuid>, DbError> {
    let sql = "select tenancy.create_profiles($1, $2, $3)";
    let parameters: [(&(dyn ToSql + Sync), Type); 3] =
        [(&users, Type::UUID_ARRAY), (&role, Type::TEXT), (&is_active, Type::BOOL)];
    let rows = tx.query_typed(sql, &parameters).await?;
    let created =
        rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<Uuid>, tokio_postgres::Error>>()?;
    if !created.is_empty() {
        let sql = "select tenancy.open_personal_organizations($1)";
        tx.query_typed(sql, &[(&created, Type::UUID_ARRAY)]).await?;
    }
    Ok(created)
}

/// Restores the trigger of sign-ups and the functions behind it. Writes to `auth.users` wait meanwhile.
///
/// # Errors
/// The database's; SQLSTATE 55P03 when a transaction that writes to `auth.users` does not end within five seconds.
pub async fn restore_trigger(tx: &Client) -> Result<(), DbError> {
    tx.batch_execute("set local lock_timeout = '5s'; set local role rowhouse_owner").await?;
    tx.batch_execute(SIGN_UP).await?;
    Ok(tx.batch_execute("reset role").await?)
}

#[cfg(test)]
mod tests;
