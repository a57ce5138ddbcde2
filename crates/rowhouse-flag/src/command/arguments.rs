//! `flags …`: its commands and their help.

use clap::{Args, Subcommand};
use uuid::Uuid;

use crate::definition::{Change, Fields, Targeting, Weighted};
use crate::flow::FlagError;
use crate::overriding::Target;
use crate::value::{Kind, Scope};

/// `flags …`.
#[derive(Debug, Subcommand)]
pub(super) enum FlagsCommand {
    /// List flags, and which of them are past their sunset
    #[command(after_help = "Example:\n  rowhouse flags list --past-sunset")]
    List(ListArgs),
    /// Show a flag with its rules and its first hundred overrides
    #[command(after_help = "Example:\n  rowhouse flags show crm --json")]
    Show(ShowArgs),
    /// Make or change a flag; what is not given stays. Every process applies it within five seconds
    #[command(
        after_help = "Example:\n  rowhouse flags set crm --kind boolean --owner 'Team CRM' --route /rest/v1/crm_deals\n  rowhouse flags set new-editor --kind percentage --owner Ann --by tenant --percentage 10 --sunset 2027-03-31\n  rowhouse flags set colour --kind variant --owner Ann --variant red=1 --variant blue=3\n  rowhouse flags set crm --rule '{\"plans\":[\"pro\"],\"value\":\"on\"}'"
    )]
    Set(Box<SetArgs>),
    /// Set a flag for one user, tenant or organization, before all rules
    #[command(
        after_help = "Example:\n  rowhouse flags override crm tenant:0198c0de-0000-7000-8000-000000000001 on"
    )]
    Override(OverrideArgs),
    /// Remove an override
    #[command(
        after_help = "Example:\n  rowhouse flags unset crm tenant:0198c0de-0000-7000-8000-000000000001"
    )]
    Unset(UnsetArgs),
    /// Delete a flag with its rules and overrides: it is off for everybody, and its routes are open
    #[command(after_help = "Example:\n  rowhouse flags delete crm")]
    Delete(ShowArgs),
    /// Say what a flag is for somebody, and why; exit 0 only if it is on
    #[command(
        after_help = "Example:\n  rowhouse flags evaluate crm --tenant 0198c0de-0000-7000-8000-000000000001"
    )]
    Evaluate(EvaluateArgs),
}

/// `flags list`.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only those with this in their name, description or owner
    #[arg(long)]
    pub(super) search: Option<String>,
    /// Only those past their sunset
    #[arg(long)]
    pub(super) past_sunset: bool,
}

/// `flags show`, `flags delete`.
#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// The flag
    pub(super) name: String,
}

/// `flags set`.
#[derive(Debug, Args)]
pub(super) struct SetArgs {
    /// The flag
    pub(super) name: String,
    /// What it can be, for a new one
    #[arg(long, value_enum)]
    pub(super) kind: Option<Kind>,
    /// Who decides about it and removes it
    #[arg(long)]
    owner: Option<String>,
    /// What it switches
    #[arg(long)]
    description: Option<String>,
    /// Where no override and no rule decides: on, off, rollout or a variant's name
    #[arg(long, value_name = "VALUE")]
    default: Option<String>,
    /// Share for whom rollout means on, in percent with two decimals
    #[arg(long)]
    percentage: Option<f64>,
    /// Whose id decides about shares and variants
    #[arg(long, value_enum)]
    by: Option<Scope>,
    /// A variant and its weight; replaces all variants
    #[arg(long, value_name = "NAME=WEIGHT", value_parser = variant)]
    variant: Vec<Weighted>,
    /// A rule as JSON, in order; replaces all rules
    #[arg(long, value_name = "JSON", value_parser = rule)]
    rule: Vec<Targeting>,
    /// Remove all rules
    #[arg(long, conflicts_with = "rule")]
    no_rules: bool,
    /// A path that answers 404, with all below it, to those for whom the flag is off; replaces all routes
    #[arg(long, value_name = "PATH")]
    route: Vec<String>,
    /// Remove all routes
    #[arg(long, conflicts_with = "route")]
    no_routes: bool,
    /// The last day on which it should exist
    #[arg(long, value_name = "YYYY-MM-DD")]
    sunset: Option<String>,
    /// Remove the sunset
    #[arg(long, conflicts_with = "sunset")]
    no_sunset: bool,
    /// Whether signed-in users may ask what it is for them
    #[arg(long)]
    public: Option<bool>,
}

/// `flags override`.
#[derive(Debug, Args)]
pub(super) struct OverrideArgs {
    /// The flag
    pub(super) name: String,
    /// user:ID, tenant:ID or organization:ID
    pub(super) subject: Target,
    /// on, off, rollout or a variant's name
    pub(super) value: String,
}

/// `flags unset`.
#[derive(Debug, Args)]
pub(super) struct UnsetArgs {
    /// The flag
    pub(super) name: String,
    /// user:ID, tenant:ID or organization:ID
    pub(super) subject: Target,
}

/// `flags evaluate`.
#[derive(Debug, Args)]
pub(super) struct EvaluateArgs {
    /// The flag
    pub(super) name: String,
    /// The organization's id; the tenant's if not given
    #[arg(long)]
    pub(super) organization: Option<Uuid>,
    /// The tenant's id
    #[arg(long)]
    pub(super) tenant: Option<Uuid>,
    /// The user's id
    #[arg(long)]
    pub(super) user: Option<Uuid>,
}

impl SetArgs {
    /// What is to change.
    pub(super) fn change(&self) -> Change {
        let listed = |given: bool, none: bool| given || none;
        Change {
            description: self.description.clone(),
            bucket_by: self.by,
            default_value: self.default.clone(),
            percentage: self.percentage,
            variants: (!self.variant.is_empty()).then(|| self.variant.clone()),
            rules: listed(!self.rule.is_empty(), self.no_rules).then(|| self.rule.clone()),
            routes: listed(!self.route.is_empty(), self.no_routes).then(|| self.route.clone()),
            owner: self.owner.clone(),
            sunset_on: listed(self.sunset.is_some(), self.no_sunset).then(|| self.sunset.clone()),
            is_public: self.public,
        }
    }

    /// The fields of a new flag.
    pub(super) fn fields(&self, change: &Change) -> Result<Fields, FlagError> {
        let (Some(kind), Some(owner)) = (self.kind, &self.owner) else {
            return Err(FlagError::Invalid(
                "there is no such flag; a new one needs --kind and --owner".to_owned(),
            ));
        };
        Ok(change.apply(&Fields::new(kind, owner)))
    }
}

fn variant(text: &str) -> Result<Weighted, String> {
    let parts = text.split_once('=').and_then(|(name, weight)| Some((name, weight.parse().ok()?)));
    let (name, weight) =
        parts.ok_or_else(|| "expected NAME=WEIGHT, the weight from 0 to 10000".to_owned())?;
    Ok(Weighted { name: name.to_owned(), weight })
}

fn rule(text: &str) -> Result<Targeting, String> {
    serde_json::from_str(text).map_err(|error| rowhouse_http::without_type_names(&error.to_string()))
}
