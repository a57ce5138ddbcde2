//! The steps of provisioning, by their names. Leaves what each does to `work`.

/// A step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The rows of tenant and organization are there and open.
    Records,
    /// The organization's owners are the tenant's.
    Roles,
    /// Plan and trial.
    Defaults,
    /// Where its files are.
    Storage,
    /// What the project makes.
    Hook,
    /// A letter to the owners.
    Welcome,
}

impl Step {
    const ALL: [Self; 6] =
        [Self::Records, Self::Roles, Self::Defaults, Self::Storage, Self::Hook, Self::Welcome];

    /// As stored.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Records => "records",
            Self::Roles => "roles",
            Self::Defaults => "defaults",
            Self::Storage => "storage",
            Self::Hook => "hook",
            Self::Welcome => "welcome",
        }
    }

    pub(crate) fn read(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.name() == name)
    }
}
