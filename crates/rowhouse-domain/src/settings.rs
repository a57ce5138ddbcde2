//! `[domains]`: domains of tenants and organizations.

use std::net::SocketAddr;
use std::time::Duration;

use rowhouse_kernel::settings;
use rowhouse_kernel::settings::{Check, Findings};

settings! {
    /// Domains of tenants and organizations.
    pub struct DomainSettings in "domains" {
        /// Most domains that one tenant may name, released ones not counted.
        pub per_tenant: u32 as "domains" = 20,
        /// Most domains by which people may join one organization.
        pub per_organization: u32 as "domains" = 20,
        /// The name server that is asked, such as `"9.9.9.9:53"`. Unset: the machine's.
        pub name_server: Option<String> = None,
        /// The name below which CNAME proofs point. Unset: `domains.` and the host of `server.public_url`.
        pub cname_target: Option<String> = None,
        /// How often the proof of a verified domain is looked for again.
        pub recheck_interval: Duration = Duration::from_secs(6 * 3600),
        /// Checks in a row without the proof before a domain can be lost.
        pub recheck_failures: u32 as "checks" = 3,
        /// How long a domain stays verified after the first of these.
        pub grace: Duration = Duration::from_secs(3 * 86_400),
        /// How long it stays verified while neither name servers nor its own server answer.
        pub unanswered_grace: Duration = Duration::from_secs(30 * 86_400),
        /// How long a code from a letter proves; then another letter goes to the postmaster.
        pub mail_proof_lifetime: Duration = Duration::from_secs(365 * 86_400),
        /// How long a domain can be proved after it was named.
        pub pending_lifetime: Duration = Duration::from_secs(7 * 86_400),
        /// How long released domains are kept in the list.
        pub retention: Duration = Duration::from_secs(90 * 86_400),
    }
}

impl Check for DomainSettings {
    fn check(&self, findings: &mut Findings<'_>) {
        findings.positive_span("recheck_interval", self.recheck_interval);
        findings.span("grace", self.grace);
        findings.span("unanswered_grace", self.unanswered_grace);
        findings.positive_span("mail_proof_lifetime", self.mail_proof_lifetime);
        findings.positive_span("pending_lifetime", self.pending_lifetime);
        findings.span("retention", self.retention);
        if self.name_server.is_some() && self.server().is_none() {
            findings.refuse("name_server", "expected an address with a port, such as \"9.9.9.9:53\"");
        }
    }
}

impl DomainSettings {
    /// The name server, if one is set.
    #[must_use]
    pub fn server(&self) -> Option<SocketAddr> {
        self.name_server.as_deref().and_then(|text| text.parse().ok())
    }
}
