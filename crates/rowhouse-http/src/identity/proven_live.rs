//! Whether a request's caller has been looked up and found to be who the token says.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A request extension, which is set by what looks the session up: [`super::live_caller::LiveCaller`] and the data API. What is
/// counted for a tenant is counted then only, since a token may name a tenant that its user has left.
#[derive(Debug, Clone, Default)]
pub struct ProvenLive(Arc<AtomicBool>);

impl ProvenLive {
    /// The session is live.
    pub fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether that is known.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
