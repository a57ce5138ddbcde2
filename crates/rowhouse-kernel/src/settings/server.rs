//! `[server]`: the HTTP listener.

use std::time::Duration;

use super::settings;
use crate::Secret;

settings! {
    /// The HTTP listener, its limits and what browsers may do with it.
    pub struct ServerSettings in "server" {
        /// Address to listen on.
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
        pub max_connections: u32 = 4096,
        /// How long a client may take to send its request head, and how long an idle connection is kept.
        pub header_timeout: Duration = Duration::from_secs(30),
        /// How long one request may take from head to answer; beyond it the answer is 504.
        pub request_timeout: Duration = Duration::from_secs(30),
        /// How long shutdown waits for requests in flight.
        pub drain_timeout: Duration = Duration::from_secs(25),
        /// Header that carries the client's address when a proxy of yours stands in front, for example `x-forwarded-for`. Unset: the connection's address.
        pub client_address_header: Option<String> = None,
        /// Bearer token that opens `/metrics` to addresses other than loopback.
        pub metrics_token: Option<Secret> = None,
    }
}
