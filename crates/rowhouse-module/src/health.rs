//! Health checks of modules. Reporting is left to `rowhouse-ops`.

use std::sync::Arc;

/// What a failed check means for the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// The process cannot serve.
    Unhealthy,
    /// It serves, and something needs attention.
    Degraded,
}

type Ask = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// One part's check; must answer at once.
#[derive(Clone)]
pub struct HealthCheck {
    /// The part's name under `services` of `/health`.
    pub name: &'static str,
    /// What a failure means for the process.
    pub weight: Weight,
    ask: Option<Ask>,
}

impl HealthCheck {
    /// A part checked by `ask`, whose error says what is wrong, without secrets.
    pub fn new(
        name: &'static str,
        weight: Weight,
        ask: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        Self { name, weight, ask: Some(Arc::new(ask)) }
    }

    /// A part that this process does not run.
    #[must_use]
    pub fn off(name: &'static str) -> Self {
        Self { name, weight: Weight::Degraded, ask: None }
    }

    /// Whether this process runs the part.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.ask.is_some()
    }

    /// Runs the check; a part that this process does not run is healthy.
    ///
    /// # Errors
    /// What is wrong.
    pub fn ask(&self) -> Result<(), String> {
        self.ask.as_ref().map_or(Ok(()), |ask| ask())
    }
}

impl std::fmt::Debug for HealthCheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HealthCheck")
            .field("name", &self.name)
            .field("weight", &self.weight)
            .finish_non_exhaustive()
    }
}
