//! Admission: caller, schema and limits of a request, determined once before it is parsed.

use std::borrow::Cow;

use rowhouse_db::catalog::Snapshot;
use rowhouse_kernel::Caller;

use crate::error::Error;
use crate::limit::{LimitSources, RequestLimits};
use crate::settings::RestSettings;

/// An admitted caller with the limits of the request; immutable.
#[derive(Debug)]
pub(crate) struct Admitted<'a> {
    pub(crate) caller: &'a Caller,
    pub(crate) snapshot: &'a Snapshot,
    /// The project's settings.
    pub(crate) project: &'a RestSettings,
    pub(crate) limits: RequestLimits,
    /// The settings within the limits.
    pub(crate) settings: Cow<'a, RestSettings>,
}

impl<'a> Admitted<'a> {
    /// Looks up the caller's limits.
    ///
    /// # Errors
    /// They are not loaded yet, or cannot be parsed.
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
