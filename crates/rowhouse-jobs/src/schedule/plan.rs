//! Which times a due schedule fires, and when it is due again. Pure; leaves rows and jobs to the parent.

use std::time::Duration;

use rowhouse_kernel::Rng;
use time::OffsetDateTime;

use crate::cron::Cron;
use crate::settings::Missed;

/// A time further in the past counts as missed instead of late.
const GRACE: Duration = Duration::from_secs(60);
/// Most missed times that are fired at once.
const MOST_MISSED: usize = 100;

/// The pattern's next time, and when it is fired: later by the jitter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) slot: OffsetDateTime,
    pub(crate) at: OffsetDateTime,
}

/// The decision for a due schedule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The pattern's times to enqueue a job for, oldest first.
    pub(crate) slots: Vec<OffsetDateTime>,
    /// When it is due again; never, if the pattern has no more times.
    pub(crate) next: Option<Turn>,
}

/// The first occurrence after `moment`.
pub(crate) fn turn_after(
    cron: &Cron,
    jitter: Duration,
    moment: OffsetDateTime,
    chance: Chance,
) -> Option<Turn> {
    let slot = cron.next_after(moment)?;
    Some(Turn { slot, at: slot + chance.part_of(jitter) })
}

/// Plans the due `turn` at `now`. `missed` is the policy for times that passed while no process ran; the jitter of
/// the turn applies to all of them.
pub(crate) fn plan(
    cron: &Cron,
    missed: Missed,
    jitter: Duration,
    turn: Turn,
    now: OffsetDateTime,
    chance: Chance,
) -> Plan {
    let until = now - (turn.at - turn.slot);
    let latest = latest(cron, until).filter(|slot| *slot > turn.slot).unwrap_or(turn.slot);
    let slots = match missed {
        Missed::Skip if until - latest > GRACE => Vec::new(),
        Missed::Skip | Missed::Once => vec![latest],
        Missed::All => all(cron, turn.slot, latest),
    };
    Plan { slots, next: turn_after(cron, jitter, latest.max(turn.slot), chance) }
}

/// The pattern's last time up to `moment`. Patterns have a resolution of one second.
fn latest(cron: &Cron, moment: OffsetDateTime) -> Option<OffsetDateTime> {
    let second = moment.replace_nanosecond(0).ok()?;
    cron.last_before(second + Duration::from_secs(1))
}

/// The newest times from `first` to `last`, oldest first.
fn all(cron: &Cron, first: OffsetDateTime, last: OffsetDateTime) -> Vec<OffsetDateTime> {
    let back = std::iter::successors(Some(last), |slot| cron.last_before(*slot));
    let mut slots: Vec<_> = back.take_while(|slot| *slot >= first).take(MOST_MISSED).collect();
    slots.reverse();
    slots
}

/// A random number, drawn once per firing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn draw(rng: &dyn Rng) -> Self {
        let mut bytes = [0; 8];
        rng.fill(&mut bytes);
        Self(u64::from_le_bytes(bytes))
    }

    fn part_of(self, most: Duration) -> Duration {
        let millis = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(self.0.checked_rem(millis).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests;
