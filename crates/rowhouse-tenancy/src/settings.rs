//! `[tenancy]`: organizations, tenants and members.

use std::time::Duration;

use rowhouse_kernel::settings;
use rowhouse_kernel::settings::{Check, Findings};

/// Longest time in which an invitation can be accepted.
pub(crate) const LONGEST_INVITATION: Duration = Duration::from_secs(720 * 3600);

/// Whether a URL is absolute and has no fragment: the token becomes it.
fn is_page(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !url.contains('#'))
}

settings! {
    /// Organizations, tenants and members.
    pub struct TenancySettings in "tenancy" {
        /// How long a deleted organization or tenant can be restored.
        pub restore_window: Duration = Duration::from_secs(30 * 86_400),
        /// Most organizations that one user may own.
        pub organizations_per_user: u32 as "organizations" = 100,
        /// Most tenants of an organization, those counted that were deleted within the restore window. The service key is exempt.
        pub tenants_per_organization: u32 as "tenants" = 100,
        /// Where the link in an invitation leads: a page of the front end, which finds the token in the fragment (`#token=…`). Unset: `/invitation` below `auth.site_url`.
        pub invitation_url: Option<String> = None,
        /// How long an invitation can be accepted, unless it says otherwise; 720 hours at most.
        pub invitation_lifetime: Duration = Duration::from_secs(72 * 3600),
        /// Letters with invitations within an hour, for each organization and for each user who invites.
        pub invitation_rate_per_hour: u32 as "letters in an hour" = 100,
        /// Letters with invitations to one address within a day, from all organizations.
        pub invitation_recipient_rate_per_day: u32 as "letters in a day" = 10,
        /// Invitations of an organization that can be accepted at a time.
        pub pending_invitations: u32 as "invitations" = 1_000,
        /// How long it is kept what tenants have used in past days and months.
        pub usage_retention: Duration = Duration::from_secs(400 * 86_400),
        /// How long invitations are kept after they could be accepted last.
        pub invitation_retention: Duration = Duration::from_secs(90 * 86_400),
        /// Links that `GET /admin/v1/me` gives to launchers for users who need help, each as `Title=URL`, such as `Help=https://help.example`.
        pub support_links: Vec<String> = Vec::new(),
    }
}

/// Title and URL of a link for users who need help.
fn link(text: &str) -> Option<(&str, &str)> {
    let (title, url) = text.split_once('=')?;
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    (!title.is_empty() && rest.is_some_and(|rest| !rest.is_empty())).then_some((title, url))
}

impl TenancySettings {
    /// Titles and URLs of [`Self::support_links`].
    pub(crate) fn links(&self) -> impl Iterator<Item = (&str, &str)> {
        self.support_links.iter().filter_map(|text| link(text))
    }
}

impl Check for TenancySettings {
    fn check(&self, findings: &mut Findings<'_>) {
        findings.span("restore_window", self.restore_window);
        findings.span("usage_retention", self.usage_retention);
        findings.span("invitation_retention", self.invitation_retention);
        if !(Duration::from_secs(60)..=LONGEST_INVITATION).contains(&self.invitation_lifetime) {
            findings.refuse("invitation_lifetime", "expected a minute to 720 hours");
        }
        if self.support_links.iter().any(|text| link(text).is_none()) {
            findings.refuse("support_links", "expected links such as \"Help=https://help.example\"");
        }
        if self.invitation_url.as_deref().is_some_and(|url| !is_page(url)) {
            let why =
                "expected an absolute URL without a fragment, such as \"https://app.example/invitation\"";
            findings.refuse("invitation_url", why);
        }
    }
}
