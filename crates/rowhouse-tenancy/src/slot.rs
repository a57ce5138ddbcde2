//! How many exports run at once in this process: a few for each organization, tenant or user, so that one cannot keep the others
//! from theirs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::StatusCode;
use rowhouse_http::api::Problem;
use uuid::Uuid;

/// When to try again.
const PAUSE: Duration = Duration::from_secs(10);

type Running = HashMap<Option<Uuid>, usize>;

/// The exports under way.
#[derive(Clone)]
pub(crate) struct Slots {
    running: Arc<Mutex<Running>>,
    most_of_one: usize,
    most: usize,
}

/// An export's place, until it is dropped.
pub struct Slot {
    slots: Slots,
    of: Option<Uuid>,
}

impl Slots {
    /// So many of one, and so many altogether.
    pub(crate) fn new(most_of_one: usize, most: usize) -> Self {
        Self { running: Arc::default(), most_of_one, most }
    }

    /// A place for an export of this organization, tenant or user, or of all.
    pub(crate) fn take(&self, of: Option<Uuid>) -> Result<Slot, Problem> {
        let mut running = self.lock();
        let total: usize = running.values().sum();
        let own = running.entry(of).or_default();
        if *own >= self.most_of_one || total >= self.most {
            let (one, all) = (self.most_of_one, self.most);
            let detail = format!("{one} of the same and {all} exports run at once; wait for one to end");
            return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_exports", detail).after(PAUSE));
        }
        *own += 1;
        Ok(Slot { slots: self.clone(), of })
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
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
    use super::Slots;
    use uuid::Uuid;

    #[test]
    fn organization_has_its_own_places_and_gets_them_back() {
        let slots = Slots::new(2, 32);
        let (one, other) = (Some(Uuid::from_u128(1)), Some(Uuid::from_u128(2)));
        let held: Vec<_> = (0..2).map(|_| slots.take(one).unwrap()).collect();
        assert_eq!(slots.take(one).err().unwrap().code, "too_many_exports");
        assert!(slots.take(other).is_ok() && slots.take(None).is_ok());
        drop(held);
        assert!(slots.take(one).is_ok() && slots.lock().is_empty());
    }

    #[test]
    fn all_together_are_bounded() {
        let slots = Slots::new(2, 4);
        let take = |number| slots.take(Some(Uuid::from_u128(number)));
        let held: Vec<_> = (0..4).map(|number| take(number).unwrap()).collect();
        assert_eq!(take(1_000).err().unwrap().status.as_u16(), 429);
        drop(held);
        assert!(take(1_000).is_ok());
    }
}
