//! Looks for a proof where it has to be published. Leaves what follows from it to `flow` and `recheck`.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rowhouse_jobs::outbound::{Fetch, Lookup, Outbound, OutboundResponse, SendError};
use rowhouse_kernel::SharedClock;
use rowhouse_mail::dns;

use crate::challenge::{Challenge, FILE};
use crate::claim::Claim;
use crate::settings::DomainSettings;

/// Longest request for a file. Its size is bounded by `rowhouse_jobs::outbound::MOST_ANSWER`.
const FILE_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest check as a whole.
const CHECK_TIMEOUT: Duration = Duration::from_secs(30);

/// What a check has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Finding {
    /// The proof.
    Found,
    /// An answer without it, and which.
    Missing(String),
    /// No answer, and why.
    Unanswered(String),
}

/// Asks name servers, and web servers of the domains.
#[derive(Debug, Clone)]
pub struct Checker {
    server: Option<SocketAddr>,
    outbound: Outbound,
    clock: SharedClock,
    target: Arc<str>,
    /// Of HTTP and HTTPS.
    ports: (u16, u16),
}

impl Checker {
    /// As configured; CNAME proofs point below `host`, unless the settings name another one. Files are fetched from public
    /// addresses only, unless `allow_private`: from those that the name server has just given, and without following
    /// redirects.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn new(
        settings: &DomainSettings,
        host: &str,
        allow_private: bool,
        clock: SharedClock,
    ) -> Result<Self, String> {
        let server = settings.server();
        let outbound = Outbound::with_lookup(allow_private, addresses(server))?;
        let target = settings.cname_target.clone().unwrap_or_else(|| format!("domains.{host}"));
        Ok(Self { server, outbound, clock, target: target.to_lowercase().into(), ports: (80, 443) })
    }

    /// The same with servers at other ports.
    #[must_use]
    pub fn at_ports(self, http: u16, https: u16) -> Self {
        Self { ports: (http, https), ..self }
    }

    /// Where CNAME proofs point.
    pub(crate) fn target(&self) -> &str {
        &self.target
    }

    /// Looks for the proof of a claim. That of a letter is in nobody's answer.
    pub(crate) async fn check(&self, claim: &Claim) -> Finding {
        let challenge = claim.challenge(&self.target);
        let look = async {
            match challenge.kind {
                "file" => self.file(&challenge, &claim.name).await,
                "mail" => Finding::Missing("a code from a letter to the postmaster is needed".to_owned()),
                _ => self.records(&challenge).await,
            }
        };
        let found = tokio::time::timeout(CHECK_TIMEOUT, look).await;
        found.unwrap_or_else(|_| Finding::Unanswered("no answer in time".to_owned()))
    }

    async fn records(&self, challenge: &Challenge) -> Finding {
        let (name, kind) = (&challenge.name, challenge.kind);
        match dns::query(name, kind, self.server).await {
            Err(error) => Finding::Unanswered(error.to_string()),
            Ok(Err(error)) => Finding::Unanswered(format!("{name} could not be looked up: {error}")),
            Ok(Ok(records)) if challenge.is_in_records(&records) => Finding::Found,
            Ok(Ok(records)) if records.is_empty() => Finding::Missing(format!("{name} has no {kind} record")),
            Ok(Ok(_)) => Finding::Missing(format!("{name} has another {kind} record")),
        }
    }

    /// Over HTTP and, for servers that redirect there, HTTPS.
    async fn file(&self, challenge: &Challenge, domain: &str) -> Finding {
        let urls = [("http", self.ports.0), ("https", self.ports.1)]
            .map(|(scheme, port)| format!("{scheme}://{domain}:{port}{FILE}"));
        let (mut missing, mut silent) = (None, String::new());
        for url in &urls {
            match self.fetch(url).await {
                Ok(answer) if answer.status == 200 && challenge.is_in_file(&answer.body) => {
                    return Finding::Found;
                }
                Ok(answer) if answer.status == 200 => missing = Some(format!("{url} has another text")),
                Ok(answer) => missing = Some(format!("{url} answers with status {}", answer.status)),
                Err(error) => silent = format!("{url}: {error}"),
            }
        }
        missing.map_or(Finding::Unanswered(silent), Finding::Missing)
    }

    async fn fetch(&self, url: &str) -> Result<OutboundResponse, SendError> {
        let fetch = Fetch { url, timeout: FILE_TIMEOUT, ..Fetch::default() };
        self.outbound.fetch(fetch, &*self.clock).await
    }
}

/// Resolves names at the same server as the records, so that one view of DNS decides.
fn addresses(server: Option<SocketAddr>) -> Lookup {
    Arc::new(move |name: String| {
        Box::pin(async move {
            let mut found: Vec<IpAddr> = Vec::new();
            for kind in ["A", "AAAA"] {
                let answers = dns::query(&name, kind, server).await;
                let answers = answers.map_err(|error| std::io::Error::other(error.to_string()))?;
                let texts = answers.map_err(std::io::Error::other)?;
                found.extend(texts.iter().filter_map(|text| text.parse::<IpAddr>().ok()));
            }
            Ok(found)
        })
    })
}
