//! `mail …`: its commands and their help.

use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use rowhouse_kernel::TenantId;
use rowhouse_kernel::settings::Setting;

/// `mail …`.
#[derive(Debug, Subcommand)]
pub(super) enum MailCommand {
    /// List recipients of mails, newest first
    #[command(after_help = "Example:\n  rowhouse mail list --state failed")]
    List {
        /// Only those in this state
        #[arg(long, value_enum)]
        state: Option<MailState>,
        /// At most so many
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=10_000))]
        limit: i64,
    },
    /// Show a mail and the history of each recipient
    #[command(after_help = "Example:\n  rowhouse mail show 12 --json")]
    Show {
        /// The mail's number
        id: i64,
    },
    /// Send a test mail through the configured transport, wait for the outcome, and exit 0 only if it was accepted
    #[command(after_help = "Example:\n  rowhouse mail test you@example.com")]
    Test {
        /// The recipient
        address: String,
        /// How long to wait for the outcome
        #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = timeout)]
        timeout: Duration,
    },
    /// Retry the recipients of a mail that failed, bounced or were suppressed
    #[command(after_help = "Example:\n  rowhouse mail retry 12")]
    Retry {
        /// The mail's number
        id: i64,
    },
    /// Give up the recipients of a mail that are not delivered yet
    #[command(after_help = "Example:\n  rowhouse mail cancel 12")]
    Cancel {
        /// The mail's number
        id: i64,
    },
    /// Print the DNS records for SPF, DKIM and DMARC; with --check look them up and exit 0 only if all are good
    #[command(after_help = "Example:\n  rowhouse mail dns --check")]
    Dns {
        /// Look the records up: exit code 1 if one is missing or wrong, 2 if one could not be looked up
        #[arg(long)]
        check: bool,
        /// Ask this server instead of the machine's, such as 9.9.9.9:53
        #[arg(long, value_name = "ADDRESS:PORT", requires = "check")]
        server: Option<std::net::SocketAddr>,
    },
    /// List, add and remove addresses to which no mail is sent
    #[command(subcommand, after_help = "Example:\n  rowhouse mail suppressions list")]
    Suppressions(SuppressionsCommand),
    /// Create, list and revoke credentials for SMTP submission
    #[command(subcommand, after_help = "Example:\n  rowhouse mail credentials create shop")]
    Credentials(CredentialsCommand),
    /// List, add, prove and remove senders that tenants' credentials may use
    #[command(subcommand, after_help = "Example:\n  rowhouse mail senders list")]
    Senders(SendersCommand),
}

/// `mail senders …`.
#[derive(Debug, Subcommand)]
pub(super) enum SendersCommand {
    /// List them by tenant
    #[command(after_help = "Example:\n  rowhouse mail senders list")]
    List {
        /// Only this tenant's
        #[arg(long)]
        tenant: Option<TenantId>,
    },
    /// Let a tenant prove a domain by a TXT record, or an address by a code that is sent there
    #[command(
        after_help = "Example:\n  rowhouse mail senders add 019a2b3c-0000-7000-8000-000000000007 shop.example"
    )]
    Add {
        /// Whose it is
        tenant: TenantId,
        /// The domain or address
        name: String,
    },
    /// Check the proof, and exit 0 only if the tenant may use the sender
    #[command(
        after_help = "Example:\n  rowhouse mail senders prove 019a2b3c-0000-7000-8000-000000000007 shop.example"
    )]
    Prove {
        /// Whose it is
        tenant: TenantId,
        /// The domain or address
        name: String,
        /// What was sent to the address
        #[arg(long)]
        code: Option<String>,
        /// Ask this name server instead of the machine's, such as 9.9.9.9:53
        #[arg(long, value_name = "ADDRESS:PORT")]
        server: Option<std::net::SocketAddr>,
    },
    /// Remove a sender from a tenant
    #[command(
        after_help = "Example:\n  rowhouse mail senders remove 019a2b3c-0000-7000-8000-000000000007 shop.example"
    )]
    Remove {
        /// Whose it is
        tenant: TenantId,
        /// The domain or address
        name: String,
    },
}

/// `mail suppressions …`.
#[derive(Debug, Subcommand)]
pub(super) enum SuppressionsCommand {
    /// List them, newest first
    #[command(after_help = "Example:\n  rowhouse mail suppressions list")]
    List,
    /// Suppress an address
    #[command(after_help = "Example:\n  rowhouse mail suppressions add someone@example.com")]
    Add {
        /// The address
        address: String,
    },
    /// Send mail to an address again
    #[command(after_help = "Example:\n  rowhouse mail suppressions remove someone@example.com")]
    Remove {
        /// The address
        address: String,
        /// Only its unsubscription from this list
        #[arg(long)]
        list: Option<String>,
    },
}

/// `mail credentials …`.
#[derive(Debug, Subcommand)]
pub(super) enum CredentialsCommand {
    /// Create a name and a secret for SMTP; the secret is shown once
    #[command(after_help = "Example:\n  rowhouse mail credentials create shop")]
    Create {
        /// The user name for SMTP
        name: String,
        /// The tenant whose mails it submits
        #[arg(long)]
        tenant: Option<TenantId>,
    },
    /// List them, without secrets
    #[command(after_help = "Example:\n  rowhouse mail credentials list")]
    List,
    /// Revoke a credential
    #[command(after_help = "Example:\n  rowhouse mail credentials revoke shop")]
    Revoke {
        /// Its name
        name: String,
    },
}

/// The state of a recipient's delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum MailState {
    /// No attempt yet
    Queued,
    /// An attempt is under way or was interrupted
    Sending,
    /// Waits for another attempt
    Delayed,
    /// Accepted by the relay
    Sent,
    /// Captured instead of sent
    Captured,
    /// Given up
    Failed,
    /// Permanently refused by the recipient's server
    Bounced,
    /// Not attempted: the address is suppressed
    Suppressed,
}

impl MailState {
    /// As stored.
    #[must_use]
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Delayed => "delayed",
            Self::Sent => "sent",
            Self::Captured => "captured",
            Self::Failed => "failed",
            Self::Bounced => "bounced",
            Self::Suppressed => "suppressed",
        }
    }
}

fn timeout(text: &str) -> Result<Duration, String> {
    let timeout = <Duration as Setting>::from_text(text)?;
    let fits = Duration::from_secs(1) <= timeout && timeout <= Duration::from_secs(3600);
    if fits { Ok(timeout) } else { Err("expected a duration from 1s to 1h".to_owned()) }
}
