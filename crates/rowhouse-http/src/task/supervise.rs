//! Supervision of one task: start, watch, restart.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, MissedTickBehavior};

use super::backoff::Backoff;
use super::fault::Faults;
use super::status::Record;
use super::{BackgroundTask, Heartbeat};

/// How often a task's heartbeat is checked.
const CHECK: Duration = Duration::from_secs(1);

/// Runs the task until `stop` turns true.
pub(super) async fn supervise(
    task: BackgroundTask,
    record: Arc<Record>,
    faults: Arc<Faults>,
    mut stop: watch::Receiver<bool>,
) {
    let mut backoff = Backoff::default();
    loop {
        let began = Instant::now();
        let mut run = Run::start(&task, &faults, &stop);
        tokio::select! {
            biased;
            () = stopping(&mut stop) => {
                run.finish(task.finish).await;
                return record.stopped();
            }
            () = run.until_it_fails(&task, &record) => {}
        }
        drop(run);
        tokio::select! {
            biased;
            () = stopping(&mut stop) => return record.stopped(),
            () = tokio::time::sleep(backoff.pause(began.elapsed())) => {}
        }
    }
}

async fn stopping(stop: &mut watch::Receiver<bool>) {
    let _supervisor_gone = stop.wait_for(|stop| *stop).await;
}

/// One run of a task; dropping it ends the run.
struct Run {
    heartbeat: Heartbeat,
    handle: JoinHandle<Result<(), String>>,
}

impl Drop for Run {
    fn drop(&mut self) {
        self.handle.abort();
    }
}

impl Run {
    fn start(task: &BackgroundTask, faults: &Arc<Faults>, stop: &watch::Receiver<bool>) -> Self {
        let heartbeat = Heartbeat::new(stop.clone());
        let handle = {
            let (make, faults, heartbeat) = (Arc::clone(&task.make), Arc::clone(faults), heartbeat.clone());
            // The future is created inside, so that a panic in `make` is caught, too.
            tokio::spawn(async move {
                tokio::select! {
                    biased;
                    fault = faults.next() => fault.befall().await,
                    end = make(heartbeat) => end,
                }
            })
        };
        Self { heartbeat, handle }
    }

    /// Returns after the run has failed and nothing of it is left: two runs of one task never overlap.
    async fn until_it_fails(&mut self, task: &BackgroundTask, record: &Record) {
        let began = Instant::now();
        let mut check = tokio::time::interval(CHECK);
        check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                ended = &mut self.handle => return record.failed(&reason(ended)),
                _ = check.tick() => {}
            }
            let silence = self.heartbeat.silence();
            if silence > task.silence {
                record.failed(&format!("hung: no heartbeat for {} s", silence.as_secs()));
                self.handle.abort();
                let _aborted = (&mut self.handle).await;
                return;
            }
            record.running(began.elapsed());
        }
    }

    async fn finish(mut self, limit: Duration) {
        let _late = tokio::time::timeout(limit, &mut self.handle).await;
    }
}

fn reason(ended: Result<Result<(), String>, JoinError>) -> String {
    match ended {
        Ok(Ok(())) => "returned".to_owned(),
        Ok(Err(error)) => error,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => format!("panicked: {}", panic_text(&*panic)),
            Err(cancelled) => cancelled.to_string(),
        },
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}
