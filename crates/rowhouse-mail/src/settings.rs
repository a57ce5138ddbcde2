//! `[mail]`: transport, limits, signatures and webhook.

use std::time::Duration;

use rowhouse_jobs::outbound::{is_open_line, is_this_machine, key_mistake};
use rowhouse_kernel::settings::{Check, Findings, Settings, WEAK_SECRET};
use rowhouse_kernel::{Secret, settings, words};

words! {
    /// Where mails go.
    pub enum MailTransport {
        /// Nowhere: they are kept to be looked at. Refused in production.
        Capture = "capture",
        /// To the SMTP server named by `relay_host`.
        Relay = "relay",
        /// Into `file_folder`, one `.eml` per recipient.
        File = "file",
        /// None are accepted, for installations whose letters a hook sends.
        None = "none",
    }
}

words! {
    /// How the connection to the relay is encrypted.
    pub enum RelayTls {
        /// With STARTTLS; a relay that does not offer it is an error.
        Starttls = "starttls",
        /// From the first byte, as on port 465.
        Implicit = "implicit",
        /// Not at all: for relays on the same machine.
        None = "none",
    }
}

settings! {
    /// Mails: transport, limits and signatures.
    pub struct MailSettings in "mail" {
        /// What becomes of mails: `capture` keeps them for looking at, `relay` hands them to an SMTP server, `file` writes them into a folder, `none` accepts no mails (with `auth_hooks.send_email`). `capture` is refused in production.
        pub transport: MailTransport = MailTransport::Capture,
        /// The sender of mails that name none, as `Name <address>`.
        pub from: String = "Rowhouse <noreply@localhost>".to_owned(),
        /// Envelope sender, the address that bounces go to. Unset: the mail's sender.
        pub return_path: Option<String> = None,
        /// Language of templates where the mail names none or one that there is no template for.
        pub language: String = "en".to_owned(),
        /// Name of the product in mails.
        pub site_name: String = "Rowhouse".to_owned(),
        /// Largest mail accepted, in bytes, with attachments as they travel (a third larger than the files).
        pub max_message_bytes: u64 as "bytes" = 26_214_400,
        /// Address and port that take mails over SMTP from software that signs in, as `0.0.0.0:587`. Unset: `serve` opens none, and `up` opens the API's port + 4 on this machine.
        pub smtp_listen: Option<String> = None,
        /// Failed SMTP sign-ins per client address and name within five minutes; ten times as many per address for all names, unless `server.client_address_header` names the header of a proxy.
        pub signin_rate_per_5min: u32 as "sign-ins in 5 minutes" = 30,
        /// Mails per tenant and minute over SMTP and HTTP together, in each process unless `redis.url` is set.
        pub tenant_submissions_per_minute: u32 as "mails in a minute" = 6_000,
        /// File with the certificate chain (PEM) behind STARTTLS on that port; needed unless it is on loopback.
        pub smtp_certificate: Option<String> = None,
        /// File with the private key (PEM) of that certificate.
        pub smtp_certificate_key: Option<String> = None,
        /// Folder for the transport `file`.
        pub file_folder: String = ".rowhouse/mail".to_owned(),
        /// Host name of the relay.
        pub relay_host: Option<String> = None,
        /// Port of the relay.
        pub relay_port: u16 = 587,
        /// Encryption of the connection to the relay: `starttls`, `implicit` or `none`.
        pub relay_tls: RelayTls = RelayTls::Starttls,
        /// File with the certificate (PEM) of a private authority that the relay's is signed by; the system's are trusted as well.
        pub relay_ca_file: Option<String> = None,
        /// Account at the relay. Unset: mails are handed over without signing in.
        pub relay_user: Option<String> = None,
        /// Password of the account at the relay.
        pub relay_password: Option<Secret> = None,
        /// Connections to the relay at once, in each process.
        pub relay_connections: u16 as "connections" = 4,
        /// How long handing one mail to the relay may take. One that is cut off is sent again, so rather too long than too short.
        pub relay_timeout: Duration = Duration::from_secs(300),
        /// Mails handed over per minute, by all processes together; the others wait. Unset: no limit.
        pub rate_per_minute: Option<u32> as "mails in a minute" = None,
        /// Mails handed over per day (UTC), by all processes together; the others wait. Unset: no limit.
        pub daily_cap: Option<u32> as "mails in a day" = None,
        /// Domain that signs (DKIM), usually that of `from`. Unset: mails are not signed.
        pub dkim_domain: Option<String> = None,
        /// Name of the key below `_domainkey` in that domain.
        pub dkim_selector: String = "rowhouse".to_owned(),
        /// Private key (PEM, PKCS#8: RSA with 2048 bits or more, or Ed25519) that signs.
        pub dkim_key: Option<Secret> = None,
        /// The URL to which the state of mails is reported (sent, delayed, failed, bounced, suppressed), by signed POSTs. `jobs.allow_private_urls` holds for it. Unset: nobody is told.
        pub webhook_url: Option<String> = None,
        /// What these POSTs are signed with: `whsec_` and base64, or text; 24 to 64 bytes. Needed with `webhook_url`; unset, `up` makes one in `.rowhouse/keys/mail_webhook_secret`.
        pub webhook_secret: Option<Secret> = None,
        /// How long an address that refused a mail for good gets none.
        pub suppression_lifetime: Duration = Duration::from_secs(30 * 86_400),
        /// How long the proof of a tenant's sender address holds; then a new code is asked for. That of a domain holds as long as its DNS record is there.
        pub sender_proof_lifetime: Duration = Duration::from_secs(365 * 86_400),
        /// How long mails and their history are kept after their end.
        pub retention: Duration = Duration::from_secs(30 * 86_400),
    }
}

impl Check for MailSettings {
    const REFUSED: &'static [(&'static str, &'static str)] = &[
        ("transport", "`capture`: no mail would be delivered"),
        (
            "from",
            "under a domain that exists nowhere: `localhost`, `.local`, `.invalid`, `.example`, `.test`, unless mails go into files",
        ),
        ("return_path", "the same"),
        ("relay_tls", "`none`, while the relay is on another machine"),
        ("webhook_url", "`http:` to another machine"),
        ("webhook_secret", "not set, while `mail.webhook_url` is"),
        ("webhook_secret", WEAK_SECRET),
    ];

    fn check(&self, findings: &mut Findings<'_>) {
        findings.positive_span("relay_timeout", self.relay_timeout);
        findings.span("suppression_lifetime", self.suppression_lifetime);
        findings.positive_span("sender_proof_lifetime", self.sender_proof_lifetime);
        findings.positive_span("retention", self.retention);
        self.check_pairs(findings);
        self.check_listener(findings);
        if let Some(url) = &self.webhook_url {
            let address = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
            if address.is_none_or(str::is_empty) {
                let why = format!("expected http:// or https:// and an address, found \"{url}\"");
                findings.refuse("webhook_url", why);
            }
        }
        if let Some(mistake) = self.webhook_secret.as_ref().and_then(key_mistake) {
            findings.refuse("webhook_secret", mistake);
        }
        for (key, number) in [("rate_per_minute", self.rate_per_minute), ("daily_cap", self.daily_cap)] {
            if number == Some(0) {
                findings.refuse(key, "expected at least 1; nothing would ever leave");
            }
        }
    }

    fn production(&self, _all: &Settings, findings: &mut Findings<'_>) {
        if self.transport == MailTransport::Capture {
            findings.refuse("transport", "capture would deliver no mail; name a relay");
        }
        let addresses = [("from", Some(&self.from)), ("return_path", self.return_path.as_ref())];
        for (key, address) in addresses.into_iter().filter(|_| self.leaves_machine()) {
            if let Some(domain) = address.and_then(|address| unreachable_domain(address)) {
                let why = format!("no mail reaches the domain {domain}; name an address of your own");
                findings.refuse(key, why);
            }
        }
        let relay = self.relay_host.as_deref().filter(|_| self.leaves_machine());
        if self.relay_tls == RelayTls::None && relay.is_some_and(|host| !is_this_machine(host)) {
            let why = "\"none\" to another machine than this: anybody in between could read letters and their links";
            findings.refuse("relay_tls", why);
        }
        if self.webhook_url.as_deref().is_some_and(is_open_line) {
            findings
                .refuse("webhook_url", "http: to another machine than this: anybody in between could read");
        }
        if self.webhook_url.is_some() && self.webhook_secret.is_none() {
            findings.refuse("webhook_secret", "not set");
        }
    }

    fn secrets(&self) -> Vec<(&'static str, &Secret)> {
        self.webhook_secret.iter().map(|secret| ("webhook_secret", secret)).collect()
    }
}

/// Top-level domains that exist nowhere (RFC 6761, RFC 6762): mails from them are refused, and answers get lost.
const UNREACHABLE: &[&str] = &["localhost", "localdomain", "local", "invalid", "example", "test"];

/// The domain of a mailbox, if it is under one of these.
fn unreachable_domain(mailbox: &str) -> Option<String> {
    let domain = mailbox.rsplit_once('@')?.1.trim_end_matches(['>', ' ']).to_ascii_lowercase();
    let top = domain.trim_end_matches('.').rsplit('.').next()?;
    UNREACHABLE.contains(&top).then_some(domain)
}

impl MailSettings {
    fn leaves_machine(&self) -> bool {
        !matches!(self.transport, MailTransport::File | MailTransport::None)
    }

    /// Settings that are only valid together.
    fn check_pairs(&self, findings: &mut Findings<'_>) {
        if self.transport == MailTransport::Relay && self.relay_host.is_none() {
            findings.refuse("relay_host", "not set; mail.transport = \"relay\" needs it");
        }
        if self.relay_user.is_some() != self.relay_password.is_some() {
            findings.refuse("relay_user", "comes together with mail.relay_password");
        }
        if self.dkim_domain.is_some() != self.dkim_key.is_some() {
            findings.refuse("dkim_domain", "comes together with mail.dkim_key");
        }
        if self.smtp_certificate.is_some() != self.smtp_certificate_key.is_some() {
            findings.refuse("smtp_certificate", "comes together with mail.smtp_certificate_key");
        }
    }

    /// The SMTP listener: credentials are sent over it, so beyond loopback it needs a certificate.
    fn check_listener(&self, findings: &mut Findings<'_>) {
        let Some(text) = &self.smtp_listen else { return };
        match text.parse::<std::net::SocketAddr>() {
            Err(_) => {
                findings.refuse("smtp_listen", format!("expected address and port, found \"{text}\""));
            }
            Ok(address) if !address.ip().is_loopback() && self.smtp_certificate.is_none() => {
                let why = "not set; mail.smtp_listen beyond this machine needs it";
                findings.refuse("smtp_certificate", why);
            }
            Ok(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;
