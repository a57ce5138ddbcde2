//! Who asks, against which schema, and within which limits: settled once, before the request is understood.

use std::borrow::Cow;

use rowhouse_db::catalog::Snapshot;
use rowhouse_kernel::Caller;
use rowhouse_kernel::settings::RestSettings;

use crate::error::Error;
use crate::limit::{LimitSources, RequestLimits};

/// An admitted caller with what holds for the request; nothing of it changes afterwards.
#[derive(Debug)]
pub(crate) struct Admitted<'a> {
    pub(crate) caller: &'a Caller,
    pub(crate) snapshot: &'a Snapshot,
    /// As the project has set them.
    pub(crate) project: &'a RestSettings,
    pub(crate) limits: RequestLimits,
    /// As the limits leave them.
    pub(crate) settings: Cow<'a, RestSettings>,
}

impl<'a> Admitted<'a> {
    /// Looks up the caller's limits.
    ///
    /// # Errors
    /// They are not known yet, or cannot be read.
    pub(crate) fn new(
        caller: &'a Caller,
        snapshot: &'a Snapshot,
        sources: &LimitSources,
        project: &'a RestSettings,
    ) -> Result<Self, Error> {
        let limits = sources.of(caller, snapshot)?;
        let settings = limits.settings(project);
        Ok(Self { caller, snapshot, project, limits, settings })
    }
}
