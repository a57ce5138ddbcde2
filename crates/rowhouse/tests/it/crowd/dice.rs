//! Choices that a seed determines.

use rowhouse_kernel::{Rng as _, SeededRng};

pub(super) struct Dice(std::sync::Arc<SeededRng>);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(SeededRng::new(seed))
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        usize::try_from(u64::from_le_bytes(bytes) % bound.max(1) as u64).unwrap_or_default()
    }

    pub(super) fn pick<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        all.get(self.below(all.len()))
    }
}
