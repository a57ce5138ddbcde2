//! Password hashing outside the async threads, with bounded concurrency and a bounded queue.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rowhouse_crypto::password::{self, Verdict};
use rowhouse_kernel::SharedRng;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};

use crate::fault::Fault;
use crate::floor::Floor;
use crate::policy::Password;
use crate::settings::AuthSettings;

/// The bounded pool. Callers must not hold a database connection while they wait.
#[derive(Debug)]
pub(crate) struct Hasher {
    /// Permits for running and waiting requests together.
    admitted: Arc<Semaphore>,
    running: Arc<Semaphore>,
    rng: SharedRng,
    floor: Arc<Floor>,
    /// Set once the durations of the usual kinds of hashes have been measured.
    rehearsed: OnceCell<()>,
}

impl Hasher {
    pub(crate) fn new(settings: &AuthSettings, rng: SharedRng) -> Self {
        let running = usize::from(settings.hash_concurrency.max(1));
        let admitted = running + usize::from(settings.hash_queue);
        Self {
            admitted: Arc::new(Semaphore::new(admitted)),
            running: Arc::new(Semaphore::new(running)),
            rng,
            floor: Arc::default(),
            rehearsed: OnceCell::new(),
        }
    }

    /// Hashes a new password.
    pub(crate) async fn hash(&self, password: Password) -> Result<String, Fault> {
        let rng = self.rng.clone();
        Ok(self.run(move || password::hash(password.expose(), &*rng)).await??)
    }

    /// Verifies a password; `None` takes as long as a mismatch.
    pub(crate) async fn verify(&self, password: Password, stored: Option<String>) -> Result<Verdict, Fault> {
        self.run(move || password::verify(password.expose(), stored.as_deref())).await
    }

    /// The same for a sign-in: a mismatch takes the same time for every kind of hash, with `refuse`, which it runs.
    pub(crate) async fn verify_evenly(
        &self,
        password: Password,
        stored: Option<String>,
        refuse: impl Future<Output = Result<(), Fault>>,
    ) -> Result<Verdict, Fault> {
        self.rehearsed.get_or_try_init(|| self.rehearse()).await?;
        let kind = password::kind(stored.as_deref());
        let work = move || timed(|| password::verify(password.expose(), stored.as_deref()));
        let (verdict, took) = self.run(work).await?;
        self.floor.note(kind, took);
        if !verdict.is_match() {
            let begun = Instant::now();
            let refused = refuse.await;
            tokio::time::sleep(self.floor.rest(took + begun.elapsed())).await;
            refused?;
        }
        Ok(verdict)
    }

    async fn rehearse(&self) -> Result<(), Fault> {
        let floor = Arc::clone(&self.floor);
        self.run(move || password::rehearse(|kind, compare| floor.note(kind, timed(compare).1))).await
    }

    /// The permits are moved into the work: a request that is dropped does not free a core that is still busy.
    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Fault> {
        let place = self.admitted.clone().try_acquire_owned().map_err(|_| Fault::Busy)?;
        let turn = self.running.clone().acquire_owned().await.map_err(|_| Fault::Busy)?;
        let permits: (OwnedSemaphorePermit, OwnedSemaphorePermit) = (place, turn);
        let task = tokio::task::spawn_blocking(move || {
            let result = work();
            drop(permits);
            result
        });
        Ok(task.await?)
    }
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let started = Instant::now();
    (work(), started.elapsed())
}

#[cfg(test)]
mod tests {
    use rowhouse_kernel::SeededRng;

    use super::*;

    fn hasher(concurrency: u16, queue: u16) -> Hasher {
        let settings =
            AuthSettings { hash_concurrency: concurrency, hash_queue: queue, ..AuthSettings::default() };
        Hasher::new(&settings, SeededRng::new(1))
    }

    #[tokio::test]
    async fn full_queue_is_refused_as_busy() {
        let hasher = hasher(1, 1);
        let (release, released) = std::sync::mpsc::channel::<()>();
        let running = hasher.run(move || released.recv());
        let waiting = hasher.run(|| ());
        let refused = async {
            let refused = hasher.run(|| ()).await;
            release.send(()).unwrap();
            refused
        };
        // `join!` polls in this order, so that the first two hold their permits when the third arrives.
        let (first, second, third) = tokio::join!(biased; running, waiting, refused);
        assert!(first.is_ok() && second.is_ok());
        assert!(matches!(third, Err(Fault::Busy)));
    }

    #[tokio::test]
    async fn permits_are_released_after_the_work() {
        let hasher = hasher(1, 0);
        for _ in 0..3 {
            assert!(hasher.run(|| ()).await.is_ok());
        }
    }
}
