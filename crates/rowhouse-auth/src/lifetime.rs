//! How long sessions live: the settings as instants, which a refresh compares with the session's.

use time::OffsetDateTime;

use crate::settings::AuthSettings;

/// Bounds at one instant; `None` bounds no session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Tokens replaced at or after this are accepted again.
    pub(crate) reusable_after: OffsetDateTime,
    /// Sessions opened at or before this are over.
    pub(crate) opened_after: Option<OffsetDateTime>,
    /// The same for sessions without the second factor that their user has.
    pub(crate) opened_after_low_aal: Option<OffsetDateTime>,
    /// Sessions last used at or before this are over.
    pub(crate) used_after: OffsetDateTime,
    /// Whether a newer session of the user ends the others.
    pub(crate) is_single: bool,
}

impl Bounds {
    pub(crate) fn at(settings: &AuthSettings, now: OffsetDateTime) -> Self {
        let idle = settings
            .session_inactivity
            .map_or(settings.session_idle_limit, |inactivity| inactivity.min(settings.session_idle_limit));
        Self {
            reusable_after: now - settings.refresh_reuse_interval,
            opened_after: settings.session_timebox.map(|timebox| now - timebox),
            opened_after_low_aal: settings.session_aal_limit.map(|limit| now - limit),
            used_after: now - idle,
            is_single: settings.single_session_per_user,
        }
    }
}

/// Why a session is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionEnd {
    /// It has expired, or was ended as stolen.
    Expired,
    Inactive,
    LowAal,
    Superseded,
}

impl SessionEnd {
    /// By the name that `auth.session_end` gives it.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "expired" => Self::Expired,
            "inactive" => Self::Inactive,
            "low_aal" => Self::LowAal,
            "superseded" => Self::Superseded,
            _ => return None,
        })
    }
}

impl std::fmt::Display for SessionEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Session Expired")?;
        match self {
            Self::Expired => Ok(()),
            Self::Inactive => f.write_str(" (Inactivity)"),
            Self::LowAal => f.write_str(" (Low AAL: User Needs MFA Verification)"),
            Self::Superseded => f.write_str(" (Revoked by Newer Login)"),
        }
    }
}
