//! `audit …`: the arguments.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use rowhouse_audit::{Filter, Format, Link, parse_time};
use rowhouse_kernel::{OrganizationId, TenantId};
use time::OffsetDateTime;

/// `audit …`.
#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// List entries, newest first
    #[command(after_help = "Example:\n  rowhouse audit list --action login --since 2026-11-01")]
    List(ListArgs),
    /// Write entries to standard output or a file, newest first
    #[command(
        after_help = "Example:\n  rowhouse audit export --format csv --since 2026-11-01 --output entries.csv"
    )]
    Export(ExportArgs),
    /// Hold every entry against its chain of hashes; exit code 1 if one was changed or removed
    #[command(
        after_help = "Example:\n  rowhouse audit verify --organization 0198c0de-…\n  rowhouse audit verify --expect-file kept.txt"
    )]
    Verify(VerifyArgs),
    /// Print the newest link of each chain as ORGANIZATION:SEQUENCE:HASH, to be kept elsewhere for `audit verify --expect`
    #[command(after_help = "Example:\n  rowhouse audit newest > kept.txt")]
    Newest(NewestArgs),
    /// Show or set for how many days an organization's entries are kept
    #[command(after_help = "Example:\n  rowhouse audit retention --organization 0198c0de-… --days 730")]
    Retention(RetentionArgs),
}

/// Which entries.
#[derive(Debug, Args)]
pub(super) struct FilterArgs {
    /// Written at this time or later: RFC 3339, or a day
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    since: Option<OffsetDateTime>,
    /// Written before this time
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    until: Option<OffsetDateTime>,
    /// Done by: a user's id, a role, operator:NAME, sql:LOGIN or system
    #[arg(long)]
    actor: Option<String>,
    /// What was done
    #[arg(long)]
    action: Option<String>,
    /// Concerning this organization
    #[arg(long, value_name = "ID")]
    organization: Option<OrganizationId>,
    /// Concerning this tenant
    #[arg(long, value_name = "ID")]
    tenant: Option<TenantId>,
    /// Done to this kind of thing, or to one
    #[arg(long, value_name = "KIND[:ID]")]
    target: Option<String>,
}

impl FilterArgs {
    pub(super) fn filter(&self) -> Filter {
        let filter = Filter {
            since: self.since,
            until: self.until,
            actor: self.actor.clone(),
            action: self.action.clone(),
            organization: self.organization,
            tenant: self.tenant,
            ..Filter::default()
        };
        filter.with_target(self.target.as_deref())
    }
}

/// `audit list`.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    pub(super) filter: FilterArgs,
    /// Most entries to list
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(super) limit: u32,
}

/// `audit export`.
#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    pub(super) filter: FilterArgs,
    /// csv or ndjson
    #[arg(long, default_value = "ndjson", value_parser = format)]
    pub(super) format: Format,
    /// Write to this file, which must not exist, instead of standard output
    #[arg(long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
}

/// `audit verify`.
#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// Only this organization's chain; the nil UUID is that of entries without one
    #[arg(long, value_name = "ID")]
    pub(super) organization: Option<OrganizationId>,
    /// A link that must be there, as `audit newest` printed it; may be repeated
    #[arg(long, value_name = "ORGANIZATION:SEQUENCE:HASH")]
    pub(super) expect: Vec<Link>,
    /// A file of such links, one in each line
    #[arg(long, value_name = "FILE")]
    pub(super) expect_file: Option<PathBuf>,
}

/// `audit newest`.
#[derive(Debug, Args)]
pub(super) struct NewestArgs {
    /// Only of this organization
    #[arg(long, value_name = "ID")]
    pub(super) organization: Option<OrganizationId>,
}

/// `audit retention`.
#[derive(Debug, Args)]
pub(super) struct RetentionArgs {
    /// The organization
    #[arg(long, value_name = "ID")]
    pub(super) organization: OrganizationId,
    /// Keep its entries for this many days; less than audit.minimum_retention counts as that
    #[arg(long, value_parser = clap::value_parser!(i32).range(1..=36_500))]
    pub(super) days: Option<i32>,
    /// Keep them for as long as audit.retention says
    #[arg(long, conflicts_with = "days")]
    pub(super) default: bool,
}

fn format(text: &str) -> Result<Format, String> {
    text.parse()
}
