//! `admin`: who runs the installation.

use std::time::Duration;

use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};
use rowhouse_db::Control;
use rowhouse_http::ServerSettings;
use rowhouse_kernel::Origin;
use rowhouse_module::{CannotRun, CommandContext, CommandFuture, CommandGroup, CommandOutcome, State};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{is_json, outcome};
use crate::bootstrap::{self, BootstrapError};
use crate::grant::{self, Grant, GrantError, ROLES};
use crate::person;

/// Longest reason, in characters, as the table has it.
const MAX_REASON: usize = 500;

/// `admin …` on the command line.
pub(crate) const ADMIN: CommandGroup = CommandGroup { command, run };

/// `admin …`.
#[derive(Debug, Subcommand)]
enum AdminCommand {
    /// Print a token by which a signed-in user becomes the first operator: POST it to /admin/v1/bootstrap, once
    #[command(
        after_help = "Example:\n  rowhouse admin bootstrap --minutes 15\n  rowhouse admin bootstrap --close"
    )]
    Bootstrap(BootstrapArgs),
    /// Make a user an operator for some minutes, with a reason that the audit log keeps
    #[command(
        after_help = "Example:\n  rowhouse admin grant ada@example.com --role super_admin --minutes 30 --reason 'Nobody can sign in'"
    )]
    Grant(GrantArgs),
    /// End a user's role as an operator at once
    #[command(after_help = "Example:\n  rowhouse admin revoke ada@example.com")]
    Revoke {
        /// The user's address or id
        user: String,
    },
}

/// `admin bootstrap`.
#[derive(Debug, Args)]
struct BootstrapArgs {
    /// How long the token can be used, 60 at most
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=60))]
    minutes: u64,
    /// Take back a token that was not used
    #[arg(long, conflicts_with = "minutes")]
    close: bool,
}

/// `admin grant`.
#[derive(Debug, Args)]
struct GrantArgs {
    /// The user's address or id
    #[arg(value_name = "EMAIL")]
    user: String,
    /// What they may do
    #[arg(long, value_parser = ROLES)]
    role: String,
    /// How long, 1440 (a day) at most
    #[arg(long, value_parser = clap::value_parser!(i64).range(1..=1440))]
    minutes: i64,
    /// Why
    #[arg(long, value_parser = reason)]
    reason: String,
}

fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    let fits = (1..=MAX_REASON).contains(&text.chars().count());
    if fits { Ok(text.to_owned()) } else { Err(format!("expected 1 to {MAX_REASON} characters")) }
}

fn command() -> Command {
    let command = AdminCommand::augment_subcommands(Command::new("admin"));
    command
        .about("Operators: who runs the installation")
        .after_help("Example:\n  rowhouse admin bootstrap --close")
        .subcommand_required(true)
        .arg_required_else_help(true)
}

fn run<'a>(matches: &'a ArgMatches, context: &'a CommandContext) -> CommandFuture<'a> {
    Box::pin(async move {
        let (command, as_json) = (AdminCommand::from_arg_matches(matches)?, is_json(matches));
        let admin = Admin { control: context.control()?, origin: context.origin(), as_json };
        match command {
            AdminCommand::Bootstrap(args) if args.close => admin.close().await,
            AdminCommand::Bootstrap(args) => admin.bootstrap(context, &args).await,
            AdminCommand::Grant(args) => admin.grant(&args).await,
            AdminCommand::Revoke { user } => admin.revoke(&user).await,
        }
    })
}

/// The database, and who asks.
struct Admin {
    control: Control,
    origin: Origin,
    as_json: bool,
}

impl Admin {
    fn no(&self, text: String) -> Result<CommandOutcome, CannotRun> {
        outcome(self.as_json, false, &json!({ "message": text }), text)
    }

    fn yes(&self, document: &Value, text: String) -> Result<CommandOutcome, CannotRun> {
        outcome(self.as_json, true, document, text)
    }

    async fn bootstrap(
        &self,
        context: &CommandContext,
        args: &BootstrapArgs,
    ) -> Result<CommandOutcome, CannotRun> {
        let lifetime = Duration::from_mins(args.minutes);
        let opened = match bootstrap::open(&self.control, &self.origin, &*context.rng, lifetime).await {
            Ok(opened) => opened,
            Err(BootstrapError::Db(error)) => return Err(error.into()),
            Err(error) => return self.no(error.to_string()),
        };
        let running = State::read(&context.project).map(|state| state.url);
        let base = context.settings()?.get::<ServerSettings>().public_url.clone().or(running);
        // A shell stops at it with a syntax error, where nobody has said which address is meant.
        let base = base.unwrap_or_else(|| "https://YOUR_SERVER".to_owned());
        let (url, until) = (format!("{base}/admin/v1/bootstrap"), instant(opened.expires_at));
        let token = opened.token.expose();
        let text = format!(
            "{token}\n\nuntil {until}, as the user who is to be operator:\n  \
             curl -X POST {url} -H 'authorization: Bearer ACCESS_TOKEN' -H 'content-type: application/json' \
             -d '{{\"token\":\"{token}\"}}'"
        );
        self.yes(&json!({ "token": token, "expires_at": until, "url": url }), text)
    }

    async fn close(&self) -> Result<CommandOutcome, CannotRun> {
        let closed = match bootstrap::close(&self.control, &self.origin).await {
            Ok(closed) => closed,
            Err(error) => return Err(CannotRun::because(error.to_string())),
        };
        let text = if closed { "the token does not work any more" } else { "no token was unused" };
        self.yes(&json!({ "closed": closed }), text.to_owned())
    }

    async fn grant(&self, args: &GrantArgs) -> Result<CommandOutcome, CannotRun> {
        let user = match person::find(&self.control, &self.origin, &args.user).await? {
            Ok(user) => user,
            Err(why) => return self.no(why),
        };
        let grant = Grant { user, role: &args.role, minutes: args.minutes, reason: &args.reason };
        let until = match grant::grant(&self.control, &self.origin, &grant).await {
            Ok(until) => instant(until),
            Err(GrantError::Db(error)) => return Err(error.into()),
            Err(error) => return self.no(error.to_string()),
        };
        let document = json!({ "user_id": user, "role": args.role, "expires_at": until });
        self.yes(&document, format!("{} is an operator until {until}: {}", args.user, args.role))
    }

    async fn revoke(&self, name: &str) -> Result<CommandOutcome, CannotRun> {
        let user = match person::find(&self.control, &self.origin, name).await? {
            Ok(user) => user,
            Err(why) => return self.no(why),
        };
        match grant::revoke(&self.control, &self.origin, user).await {
            Ok(true) => {
                let document = json!({ "user_id": user, "revoked": true });
                self.yes(&document, format!("{name} is no operator any more"))
            }
            Ok(false) => self.no(format!("{name} is no operator")),
            Err(error) => Err(CannotRun::because(error.to_string())),
        }
    }
}

fn instant(time: OffsetDateTime) -> String {
    time.replace_nanosecond(0).unwrap_or(time).format(&Rfc3339).unwrap_or_default()
}
