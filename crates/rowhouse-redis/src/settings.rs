//! `[redis]`: where processes share what they count.

use std::time::Duration;

use rowhouse_kernel::settings::{Check, Findings, Settings};
use rowhouse_kernel::{Secret, settings};

use crate::address::{self, Address};

/// Requests wait no longer than this.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(1);
/// It is part of every key.
const LONGEST_PREFIX: usize = 64;

settings! {
    /// Redis or Valkey, in which all processes count together what rate limits bound. Without it each process counts for itself.
    pub struct RedisSettings in "redis" {
        /// URL of the server: `redis://:password@host:6379/0`, `rediss://` with TLS, or `unix:///path?pass=password`; `valkey://` and `valkeys://` mean the same as the first two. With `cluster`, any number of them, separated by commas. The variable `REDIS_URL` is understood too. Unset: each process counts for itself.
        pub url: Option<Secret> = None,
        /// Whether `url` names nodes of a cluster, whose other nodes are then found by themselves. The counters of one database are all on one node.
        pub cluster: bool = false,
        /// File with certificates (PEM) of the authority that the server's is signed by, trusted instead of the system's.
        pub ca_file: Option<String> = None,
        /// Whether production may reach another machine without TLS.
        pub allow_plaintext: bool = false,
        /// The beginning of every key. Databases never share counters, whatever it is.
        pub key_prefix: String = "rowhouse".to_owned(),
        /// How long a request waits for the server, at most a second; then the process counts for itself, for some seconds.
        pub timeout: Duration = Duration::from_millis(100),
    }
}

impl Check for RedisSettings {
    const ALIASES: &'static [(&'static str, &'static str)] = &[("REDIS_URL", "url")];

    const REFUSED: &'static [(&'static str, &'static str)] = &[
        ("url", "without TLS to another machine, unless `redis.allow_plaintext` is set"),
        ("url", "without a password to another machine"),
    ];

    fn check(&self, findings: &mut Findings<'_>) {
        findings.positive_span("timeout", self.timeout);
        if self.timeout > LONGEST_TIMEOUT {
            findings.refuse("timeout", "must not exceed 1s; requests wait for so long");
        }
        if !is_prefix(&self.key_prefix) {
            let why = format!("expected 1 to {LONGEST_PREFIX} letters, digits, `-`, `_` and `.`");
            findings.refuse("key_prefix", why);
        }
        match self.addresses() {
            None if self.cluster => findings.refuse("url", "not set; redis.cluster needs it"),
            None => {}
            Some(Err(why)) => findings.refuse("url", why),
            Some(Ok(found)) if self.ca_file.is_some() && !found.iter().all(|address| address.has_tls) => {
                findings.refuse("ca_file", "is for rediss://");
            }
            Some(Ok(_)) => {}
        }
    }

    fn production(&self, _all: &Settings, findings: &mut Findings<'_>) {
        let Some(Ok(found)) = self.addresses() else { return };
        let remote: Vec<Address> = found.into_iter().filter(|address| !address.is_local).collect();
        if !self.allow_plaintext && remote.iter().any(|address| !address.has_tls) {
            let why =
                "not encrypted on its way to another machine; use rediss://, or set redis.allow_plaintext";
            findings.refuse("url", why);
        }
        if remote.iter().any(|address| address.password().is_none()) {
            findings.refuse("url", "no password, and the server is reachable from other machines");
        }
    }

    fn passwords(&self) -> Vec<(&'static str, String)> {
        let found = self.addresses().and_then(Result::ok).unwrap_or_default();
        found.iter().filter_map(|address| Some(("url", address.password()?.to_owned()))).collect()
    }
}

impl RedisSettings {
    /// The servers that `url` names.
    pub(crate) fn addresses(&self) -> Option<Result<Vec<Address>, String>> {
        self.url.as_ref().map(|url| address::read(url, self.cluster))
    }
}

fn is_prefix(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=LONGEST_PREFIX).contains(&text.len()) && text.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests;
