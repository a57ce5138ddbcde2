//! `schedule …`: the arguments.

use clap::Subcommand;

/// `schedule …`.
#[derive(Debug, Subcommand)]
pub enum ScheduleCommand {
    /// List schedules with their next time and the outcome of their last job
    #[command(
        after_help = "Example:\n  rowhouse schedule list\n  rowhouse schedule list --json | jq '.schedules[].next_at'"
    )]
    List,
    /// Enqueue a schedule's job now, in addition to its times
    #[command(after_help = "Example:\n  rowhouse schedule run jobs.prune")]
    Run {
        /// The schedule's name
        name: String,
    },
}
