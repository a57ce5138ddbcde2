//! Whether all users have a profile; deployment guides monitor it as "user sync".

use rowhouse_db::{Control, DbError};
use rowhouse_kernel::Operation;
use serde::Serialize;

use crate::health::Status;

/// Up to this many missing profiles are reported as `warning`.
const FEW: i64 = 5;

/// Users and profiles, counted.
#[derive(Debug, Clone, Serialize)]
pub struct UserSync {
    /// `healthy` when nothing is missing, `warning` for up to five, else `degraded`.
    pub status: &'static str,
    /// Rows of `auth.users`.
    pub total_auth_users: i64,
    /// Of those, how many have a profile.
    pub total_profiles: i64,
    /// Of those, how many have none.
    pub missing_profiles: i64,
    /// Share with a profile in percent, two decimals; 100 when there are no users.
    pub sync_percentage: f64,
    /// Whether the trigger that makes profiles is in place: `active` or `missing`.
    #[serde(skip)]
    pub triggers: &'static str,
}

impl UserSync {
    /// Counts in one statement.
    ///
    /// # Errors
    /// The database's.
    pub async fn measure(control: &Control) -> Result<Self, DbError> {
        let row = control
            .run_tx(&Operation::system("ops.user_sync"), async |tx| {
                tx.query_one(include_str!("../sql/user_sync.sql"), &[]).await.map_err(DbError::from)
            })
            .await?;
        let (users, profiles, trigger): (i64, i64, bool) = (row.get(0), row.get(1), row.get(2));
        Ok(Self::from_counts(users, profiles, trigger))
    }

    pub(crate) fn from_counts(users: i64, profiles: i64, trigger: bool) -> Self {
        let missing = users - profiles;
        let percentage = if users == 0 { 100.0 } else { profiles as f64 * 100.0 / users as f64 };
        Self {
            status: match missing {
                0 => "healthy",
                1..=FEW => "warning",
                _ => "degraded",
            },
            total_auth_users: users,
            total_profiles: profiles,
            missing_profiles: missing,
            // Rounded down: 99.996 % is not complete.
            sync_percentage: (percentage * 100.0).floor() / 100.0,
            triggers: if trigger { "active" } else { "missing" },
        }
    }

    pub(crate) fn overall(&self) -> Status {
        if self.missing_profiles == 0 && self.triggers == "active" {
            Status::Healthy
        } else {
            Status::Degraded
        }
    }
}

#[cfg(test)]
mod tests {
    use super::UserSync;

    #[test]
    fn no_users_is_complete_and_one_missing_is_not() {
        assert_eq!(UserSync::from_counts(0, 0, true).sync_percentage, 100.0);
        let nearly = UserSync::from_counts(100_000, 99_999, true);
        assert_eq!((nearly.status, nearly.missing_profiles, nearly.sync_percentage), ("warning", 1, 99.99));
        assert_eq!(UserSync::from_counts(10, 4, true).status, "degraded");
    }
}
