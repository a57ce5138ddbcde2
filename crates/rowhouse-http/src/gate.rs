//! Paths that are closed to a caller, such as those of a module whose feature flag is off: they answer like paths that do
//! not exist.
//!
//! Leaves which paths these are to the module that provides a [`Gate`], and the answer to the surface of the path.

use std::sync::Arc;

use rowhouse_kernel::Caller;

/// Decides which paths are closed; asked for every request, so it must answer from memory.
pub trait RouteGate: Send + Sync + 'static {
    /// Whether any path is closed to anybody: without one, nothing else is asked.
    fn is_armed(&self) -> bool;

    /// Whether a decoded path is closed to a caller; `None` has a token that was refused.
    fn is_closed(&self, path: &str, caller: Option<&Caller>) -> bool;
}

/// The gate of a process, for [`crate::Layers`].
#[derive(Clone)]
pub struct Gate(pub Arc<dyn RouteGate>);

/// The path is closed to the caller; an extension of the request, for surfaces whose errors name what was not found, and of
/// the response of all others.
#[derive(Debug, Clone, Copy)]
pub struct Closed;
