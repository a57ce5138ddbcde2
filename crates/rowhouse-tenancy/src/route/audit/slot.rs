//! How many exports run at once in this process: a few for each organization, so that one cannot keep the others from
//! theirs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::StatusCode;
use rowhouse_http::api::Problem;
use uuid::Uuid;

/// Exports of one organization, or of all.
const MOST_OF_ONE: usize = 2;
/// Exports altogether; each holds two pieces in memory.
const MOST: usize = 32;
/// When to try again.
const PAUSE: Duration = Duration::from_secs(10);

type Running = HashMap<Option<Uuid>, usize>;

/// The exports under way.
#[derive(Clone, Default)]
pub(super) struct Slots(Arc<Mutex<Running>>);

/// An export's place, until it is dropped.
pub(super) struct Slot {
    slots: Slots,
    of: Option<Uuid>,
}

impl Slots {
    /// A place for an export of this organization, or of all.
    pub(super) fn take(&self, of: Option<Uuid>) -> Result<Slot, Problem> {
        let mut running = self.lock();
        let total: usize = running.values().sum();
        let own = running.entry(of).or_default();
        if *own >= MOST_OF_ONE || total >= MOST {
            let detail = format!("{MOST_OF_ONE} exports of an organization run at once; wait for one to end");
            return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_exports", detail).after(PAUSE));
        }
        *own += 1;
        Ok(Slot { slots: self.clone(), of })
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut running = self.slots.lock();
        if let Some(own) = running.get_mut(&self.of) {
            *own = own.saturating_sub(1);
        }
        running.retain(|_, count| *count > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST, MOST_OF_ONE, Slots};
    use uuid::Uuid;

    #[test]
    fn organization_has_its_own_places_and_gets_them_back() {
        let slots = Slots::default();
        let (one, other) = (Some(Uuid::from_u128(1)), Some(Uuid::from_u128(2)));
        let held: Vec<_> = (0..MOST_OF_ONE).map(|_| slots.take(one).unwrap()).collect();
        assert_eq!(slots.take(one).err().unwrap().code, "too_many_exports");
        assert!(slots.take(other).is_ok() && slots.take(None).is_ok());
        drop(held);
        assert!(slots.take(one).is_ok() && slots.lock().is_empty());
    }

    #[test]
    fn all_together_are_bounded() {
        let slots = Slots::default();
        let take = |number| slots.take(Some(Uuid::from_u128(number)));
        let held: Vec<_> = (0..MOST as u128).map(|number| take(number).unwrap()).collect();
        assert_eq!(take(1_000).err().unwrap().status.as_u16(), 429);
        drop(held);
        assert!(take(1_000).is_ok());
    }
}
