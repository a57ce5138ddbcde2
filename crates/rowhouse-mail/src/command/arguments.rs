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
    /// Show a mail with the history of each recipient
    #[command(after_help = "Example:\n  rowhouse mail show 12 --json")]
    Show {
        /// The mail's number
        id: i64,
    },
    /// Send a mail the way all mails go, wait for the outcome, and exit 0 only if it was taken
    #[command(after_help = "Example:\n  rowhouse mail test you@example.com")]
    Test {
        /// To whom
        address: String,
        /// How long to wait for the outcome
        #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = patience)]
        timeout: Duration,
    },
    /// Try again for the recipients of a mail that were given up, refused or suppressed
    #[command(after_help = "Example:\n  rowhouse mail retry 12")]
    Retry {
        /// The mail's number
        id: i64,
    },
    /// Give up the recipients of a mail that wait
    #[command(after_help = "Example:\n  rowhouse mail cancel 12")]
    Cancel {
        /// The mail's number
        id: i64,
    },
    /// Print the DNS records that make mails believed; with --check ask for them and exit 0 only if all are good
    #[command(after_help = "Example:\n  rowhouse mail dns --check")]
    Dns {
        /// Ask for the records: exit code 1 if one is missing or wrong, 2 if one could not be asked for
        #[arg(long)]
        check: bool,
        /// Ask this server instead of the machine's, such as 9.9.9.9:53
        #[arg(long, value_name = "ADDRESS:PORT", requires = "check")]
        server: Option<std::net::SocketAddr>,
    },
    /// Addresses that get no mail
    #[command(subcommand)]
    Suppressions(SuppressionsCommand),
    /// Who may hand mails in over SMTP
    #[command(subcommand)]
    Credentials(CredentialsCommand),
    /// What tenants' credentials may send as
    #[command(subcommand)]
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
    /// Ask a tenant to prove a domain by a TXT record, or an address by a code that is sent there
    #[command(
        after_help = "Example:\n  rowhouse mail senders add 019a2b3c-0000-7000-8000-000000000007 shop.example"
    )]
    Add {
        /// Whose it is
        tenant: TenantId,
        /// The domain or address
        name: String,
    },
    /// Look at the proof, and exit 0 only if the tenant may send as that
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
    /// Let a tenant not send as that any more
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
    /// Send no mail to an address any more
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
        /// Only what it has left by unsubscribing from this list
        #[arg(long)]
        list: Option<String>,
    },
}

/// `mail credentials …`.
#[derive(Debug, Subcommand)]
pub(super) enum CredentialsCommand {
    /// Make a name and a secret for SMTP; the secret is shown this once
    #[command(after_help = "Example:\n  rowhouse mail credentials create shop")]
    Create {
        /// What the software signs in as
        name: String,
        /// Whose mails it hands in
        #[arg(long)]
        tenant: Option<TenantId>,
    },
    /// List them, without secrets
    #[command(after_help = "Example:\n  rowhouse mail credentials list")]
    List,
    /// Make one useless
    #[command(after_help = "Example:\n  rowhouse mail credentials revoke shop")]
    Revoke {
        /// Its name
        name: String,
    },
}

/// What a recipient's delivery has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum MailState {
    /// Not tried yet
    Queued,
    /// Being tried, or cut short
    Sending,
    /// To be tried again
    Delayed,
    /// The relay has it
    Sent,
    /// Kept for looking at
    Captured,
    /// Given up
    Failed,
    /// Refused for good
    Bounced,
    /// Not tried: the address gets no mail
    Suppressed,
}

impl MailState {
    /// As the database has it.
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

fn patience(text: &str) -> Result<Duration, String> {
    let patience = <Duration as Setting>::from_text(text)?;
    let fits = Duration::from_secs(1) <= patience && patience <= Duration::from_secs(3600);
    if fits { Ok(patience) } else { Err("expected a duration from 1s to 1h".to_owned()) }
}
