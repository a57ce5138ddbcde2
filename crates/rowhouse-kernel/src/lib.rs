#![doc = include_str!("../README.md")]

mod caller;
mod clock;
mod id;
mod operation;
mod rng;
mod secret;
pub mod settings;

pub use caller::{ANON, AUTHENTICATED, Caller, Impersonation, SERVICE_ROLE};
#[cfg(feature = "test-util")]
pub use clock::FakeClock;
pub use clock::{Clock, SharedClock, SystemClock, parse_instant};
pub use id::{ApiKeyId, OrganizationId, SessionId, TenantId, UserId, new_id};
pub use operation::{Actor, Operation, Origin};
#[cfg(feature = "test-util")]
pub use rng::SeededRng;
pub use rng::{Rng, SharedRng, SystemRng};
pub use secret::Secret;
