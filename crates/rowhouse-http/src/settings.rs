//! `[server]`: the HTTP listener.

use std::time::Duration;

use rowhouse_kernel::settings::{Check, Findings, Settings, WEAK_SECRET};
use rowhouse_kernel::{Secret, settings};

settings! {
    /// The HTTP listener, its limits and what browsers may do with it.
    pub struct ServerSettings in "server" {
        /// Address to listen on: a name or an IP address, IPv6 with or without brackets.
        pub host: String = "127.0.0.1".to_owned(),
        /// Port to listen on; 0 takes a free one. The variable `PORT` is understood too.
        pub port: u16 = 54321,
        /// The URL under which users reach this server; it is the issuer of tokens. Defaults to the listener's own address.
        pub public_url: Option<String> = None,
        /// Origins that browsers may call from; `*` for any.
        pub cors_origins: Vec<String> = vec!["*".to_owned()],
        /// Whether browsers may send cookies across origins. Not together with the origin `*` in production.
        pub cors_credentials: bool = false,
        /// Second path prefix under which the data API answers, for example `/api`.
        pub rest_alias: Option<String> = None,
        /// Connections served at once; further ones wait in the listen queue.
        pub max_connections: u32 as "connections" = 4096,
        /// How long a client may take to send its request head, and how long an idle connection is kept.
        pub header_timeout: Duration = Duration::from_secs(30),
        /// How long one request may take from head to answer; beyond it the answer is 504.
        pub request_timeout: Duration = Duration::from_secs(30),
        /// Whether `serve` tries again, as with `--retry`, while the database is unreachable, refuses the logins or lacks migrations.
        pub start_retry: bool = false,
        /// How long the program goes on serving, not ready any more, before it stops accepting: time for load balancers to notice.
        pub shutdown_delay: Duration = Duration::ZERO,
        /// How long shutdown waits for requests in flight.
        pub drain_timeout: Duration = Duration::from_secs(25),
        /// Header that carries the client's address when a proxy of yours stands in front, for example `x-forwarded-for`; `none` if nothing does. Unset: the connection's address, which production refuses, since everybody behind a proxy would share one rate limit.
        pub client_address_header: Option<String> = None,
        /// Invalid tokens that one client address may send within five minutes to the surfaces, and as many to `/metrics`; expired tokens are not counted.
        pub bad_token_rate_per_5min: u32 as "tokens in 5 minutes" = 300,
        /// Bearer token that opens `/metrics` to addresses other than loopback.
        pub metrics_token: Option<Secret> = None,
    }
}

/// First segments of paths that capabilities of later releases answer.
const RESERVED: &[&str] = &["console", "oauth2", "portal", "realtime", "storage"];

impl Check for ServerSettings {
    const REFUSED: &'static [(&'static str, &'static str)] = &[
        ("public_url", "not set, or not https: it is the issuer of tokens"),
        ("client_address_header", "not set; `none` says that no proxy stands in front"),
        ("cors_origins", "`*` while `server.cors_credentials` is on: any site could act as the user"),
        ("metrics_token", WEAK_SECRET),
    ];

    const ALIASES: &'static [(&'static str, &'static str)] = &[("PORT", "port")];

    fn check(&self, findings: &mut Findings<'_>) {
        findings.positive_span("header_timeout", self.header_timeout);
        findings.positive_span("request_timeout", self.request_timeout);
        findings.span("drain_timeout", self.drain_timeout);
        findings.span("shutdown_delay", self.shutdown_delay);
        if let Some(alias) = &self.rest_alias
            && let Err(why) = check_alias(alias)
        {
            findings.refuse("rest_alias", format!("{why}, found \"{alias}\""));
        }
        if let Some(url) = &self.public_url
            && !(url.starts_with("http://") || url.starts_with("https://"))
        {
            findings.refuse("public_url", format!("expected http:// or https://, found \"{url}\""));
        }
    }

    fn production(&self, _all: &Settings, findings: &mut Findings<'_>) {
        match self.public_url.as_deref() {
            None => findings.refuse("public_url", "not set; tokens would carry a local issuer"),
            Some(url) if !url.starts_with("https://") => {
                findings.refuse("public_url", format!("{url} is not https"));
            }
            Some(_) => {}
        }
        if self.client_address_header.is_none() {
            let why = "not set; name the header in which your proxy passes the client's address, or say \"none\" if \
                       nothing stands in front";
            findings.refuse("client_address_header", why);
        }
        if self.cors_credentials && self.cors_origins.iter().any(|origin| origin == "*") {
            let why = "* together with server.cors_credentials lets any site act as the user";
            findings.refuse("cors_origins", why);
        }
    }

    fn secrets(&self) -> Vec<(&'static str, &Secret)> {
        self.metrics_token.iter().map(|token| ("metrics_token", token)).collect()
    }
}

impl ServerSettings {
    /// The host to listen on; an IPv6 address has no brackets here.
    #[must_use]
    pub fn bare_host(&self) -> &str {
        let bracketed = self.host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        bracketed.unwrap_or(&self.host)
    }

    /// Host and port as in a URL: `127.0.0.1:54321`, `[::1]:54321`.
    #[must_use]
    pub fn authority(&self) -> String {
        authority(self.bare_host(), self.port)
    }

    /// The URL by which this machine reaches the listener.
    #[must_use]
    pub fn local_url(&self) -> String {
        let host = match self.bare_host() {
            "0.0.0.0" => "127.0.0.1",
            "::" => "::1",
            host => host,
        };
        format!("http://{}", authority(host, self.port))
    }
}

fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Whether another surface answers there is seen when the surfaces are put together.
fn check_alias(alias: &str) -> Result<(), String> {
    let segments: Vec<&str> = alias.trim_end_matches('/').split('/').collect();
    let plain = |segment: &&str| {
        !segment.is_empty() && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    match segments.as_slice() {
        ["", first, ..] if RESERVED.contains(first) => Err(format!("/{first} is taken")),
        ["", rest @ ..] if !rest.is_empty() && rest.iter().all(plain) => Ok(()),
        _ => Err("expected a path such as /api".to_owned()),
    }
}

#[cfg(test)]
mod tests;
