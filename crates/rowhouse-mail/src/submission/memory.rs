//! The memory budget for messages being received on all connections.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Unit of account, in bytes.
const UNIT: usize = 16 * 1024;

/// The budget that all connections share.
#[derive(Debug, Clone)]
pub(crate) struct MemoryBudget(Arc<Semaphore>);

impl MemoryBudget {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes.div_ceil(UNIT))))
    }

    /// An empty reservation.
    pub(crate) fn reserve(&self) -> Reservation {
        Reservation { memory: Arc::clone(&self.0), permit: None }
    }
}

/// The memory of one message; returned to the budget when dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    memory: Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Reservation {
    /// Extends the reservation to `bytes`; false if the budget is exhausted.
    pub(crate) fn grow(&mut self, bytes: usize) -> bool {
        let held = self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let missing = bytes.div_ceil(UNIT).saturating_sub(held);
        if missing == 0 {
            return true;
        }
        let Ok(missing) = u32::try_from(missing) else { return false };
        let Ok(more) = Arc::clone(&self.memory).try_acquire_many_owned(missing) else { return false };
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            none => *none = Some(more),
        }
        true
    }

    pub(crate) fn release(&mut self) {
        self.permit = None;
    }
}
