//! `[db]`: PostgreSQL.

use std::time::Duration;

use rowhouse_kernel::settings::{Check, Findings, Settings, WEAK_SECRET};
use rowhouse_kernel::{Secret, settings, words};

words! {
    /// What `anon` and `authenticated` may do with new tables of the project.
    pub enum DefaultGrants {
        /// Nothing until a migration grants it.
        None = "none",
        /// Everything, as on Supabase; row-level security is then the only fence.
        Supabase = "supabase",
    }
}

settings! {
    /// PostgreSQL: who connects, how often, and for how long a statement may run.
    pub struct DbSettings in "db" {
        /// URL of the control plane's login (`rowhouse`). The variable `DATABASE_URL` is understood too. Unset under `up`: the embedded server.
        pub url: Option<Secret> = None,
        /// URL of the server itself, where `url` leads to a pooler: LISTEN, migrations, locks and commands go there, and every other connection too if the pooler shares sessions. The variable `DATABASE_DIRECT_URL` is understood too.
        pub direct_url: Option<Secret> = None,
        /// Password of the login `authenticator`, which may become `anon`, `authenticated` and project roles.
        pub authenticator_password: Option<Secret> = None,
        /// Password of the login `authenticator_service`, which may become `service_role` only.
        pub authenticator_service_password: Option<Secret> = None,
        /// URL of the login `authenticator`; derived from `url` unless given.
        pub authenticator_url: Option<Secret> = None,
        /// URL of the login `authenticator_service`; derived from `url` unless given.
        pub authenticator_service_url: Option<Secret> = None,
        /// Whether `serve` applies platform migrations at start. `up` always does.
        pub apply_migrations: bool = false,
        /// Connections for identity, tenancy and administration.
        pub control_pool_size: u32 as "connections" = 6,
        /// Connections for the control plane's reads that answer a request by themselves, such as `GET /auth/v1/user`; under load several share a round trip.
        pub lookup_pool_size: u32 as "connections" = 3,
        /// Connections for the data API under callers' roles.
        pub data_pool_size: u32 as "connections" = 8,
        /// How many of these connections, in percent, the requests of one tenant, of one user without a tenant, or of one address without a user may use at a time: at least one, and below 100 one less than all. 100 turns the limit off, also that of exports and imports.
        pub data_pool_share: u32 as "percent" = 88,
        /// Connections for the data API under `service_role`.
        pub service_pool_size: u32 as "connections" = 3,
        /// How long a request waits for a free connection before it is answered 504.
        pub acquire_timeout: Duration = Duration::from_secs(4),
        /// Statements of identity, tenancy, jobs and administration running longer are cancelled (57014); zero for none. Functions that run as jobs have the timeouts of their jobs.
        pub control_statement_timeout: Duration = Duration::from_secs(30),
        /// How long such statements wait for a lock (55P03); zero for ever.
        pub control_lock_timeout: Duration = Duration::from_secs(10),
        /// A transaction of theirs that is open and idle for longer is ended with its connection (25P03); zero for never.
        pub control_idle_in_transaction_timeout: Duration = Duration::from_secs(60),
        /// Statements of the data API running longer are cancelled (57014).
        pub statement_timeout: Duration = Duration::from_secs(8),
        /// Prepared statements kept per data-plane connection; about 32 KB of server memory each.
        pub statement_cache_size: u32 as "statements" = 256,
        /// Whether reads of the data API that wait for a connection are sent to it together. Off only to measure what that gains.
        pub shared_sends: bool = true,
    }
}

impl Check for DbSettings {
    const REFUSED: &'static [(&'static str, &'static str)] = &[
        ("authenticator_password", "not set, unless `db.authenticator_url` is"),
        ("authenticator_password", WEAK_SECRET),
        ("authenticator_service_password", "not set, unless `db.authenticator_service_url` is"),
        ("authenticator_service_password", WEAK_SECRET),
    ];

    const ALIASES: &'static [(&'static str, &'static str)] =
        &[("DATABASE_URL", "url"), ("DATABASE_DIRECT_URL", "direct_url")];

    fn check(&self, findings: &mut Findings<'_>) {
        findings.positive_span("acquire_timeout", self.acquire_timeout);
        findings.positive_span("statement_timeout", self.statement_timeout);
        for (key, url) in self.urls() {
            if let Some(Err(error)) = url.as_ref().map(crate::url::read) {
                findings.refuse(key, error);
            }
        }
        if !(1..=100).contains(&self.data_pool_share) {
            findings.refuse("data_pool_share", "expected a percentage from 1 to 100");
        }
    }

    fn production(&self, _all: &Settings, findings: &mut Findings<'_>) {
        for (key, password, url) in [
            ("authenticator_password", &self.authenticator_password, &self.authenticator_url),
            (
                "authenticator_service_password",
                &self.authenticator_service_password,
                &self.authenticator_service_url,
            ),
        ] {
            if password.is_none() && url.is_none() {
                findings.refuse(key, "not set");
            }
        }
    }

    fn secrets(&self) -> Vec<(&'static str, &Secret)> {
        [
            ("authenticator_password", &self.authenticator_password),
            ("authenticator_service_password", &self.authenticator_service_password),
        ]
        .into_iter()
        .filter_map(|(key, secret)| Some((key, secret.as_ref()?)))
        .collect()
    }

    fn passwords(&self) -> Vec<(&'static str, String)> {
        let urls = self.urls().into_iter();
        urls.filter_map(|(key, url)| Some((key, password_in(url.as_ref()?)?))).collect()
    }
}

impl DbSettings {
    fn urls(&self) -> [(&'static str, &Option<Secret>); 4] {
        [
            ("url", &self.url),
            ("direct_url", &self.direct_url),
            ("authenticator_url", &self.authenticator_url),
            ("authenticator_service_url", &self.authenticator_service_url),
        ]
    }

    /// Refuses URLs that cannot be used: malformed, or with files for TLS that cannot be read.
    ///
    /// # Errors
    /// Each by its setting.
    pub fn check_urls(&self) -> Result<(), Vec<String>> {
        let check = |(key, url): (&str, &Option<Secret>)| match crate::url::check(url.as_ref()?) {
            Ok(()) => None,
            Err(error) => Some(format!("db.{key}: {error}")),
        };
        let mistakes: Vec<String> = self.urls().into_iter().filter_map(check).collect();
        if mistakes.is_empty() { Ok(()) } else { Err(mistakes) }
    }

    /// Where commands, LISTEN, migrations and locks go: the server's own address if it is given, else what may be a pooler.
    #[must_use]
    pub fn server_url(&self) -> Option<&Secret> {
        self.direct_url.as_ref().or(self.url.as_ref())
    }
}

/// The password as it stands in a URL (RFC 3986 section 3.2.1), still percent-encoded.
fn password_in(url: &Secret) -> Option<String> {
    let (_, rest) = url.expose().split_once("://")?;
    let (user, _) = rest.split('/').next()?.rsplit_once('@')?;
    user.split_once(':').map(|(_, password)| password.to_owned())
}
