//! Typed ids. Every platform id is a UUIDv7; the types keep a tenant from being passed where a user is meant.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Clock, Rng};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

id!(
    /// `auth.users.id`.
    UserId
);
id!(
    /// `auth.sessions.id`.
    SessionId
);
id!(
    /// `tenancy.organizations.id`: the customer account.
    OrganizationId
);
id!(
    /// `tenancy.api_keys.id`: a key of an organization's own services.
    ApiKeyId
);
id!(
    /// `tenancy.tenants.id`: a workspace inside an organization.
    TenantId
);

/// A fresh UUIDv7: 48 bits of milliseconds, then 74 random bits (RFC 9562 section 5.7).
pub fn new_id(clock: &dyn Clock, rng: &dyn Rng) -> Uuid {
    let mut random = [0_u8; 10];
    rng.fill(&mut random);
    let millis = clock.now().unix_timestamp_nanos() / 1_000_000;
    uuid::Builder::from_unix_timestamp_millis(u64::try_from(millis).unwrap_or(0), &random).into_uuid()
}
