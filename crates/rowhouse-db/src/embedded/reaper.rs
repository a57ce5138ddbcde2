//! Reaps orphaned processes: as process 1 of a container the program becomes the parent of every orphan and has to
//! wait for it.

use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use super::process::ended_children;

/// Ended children seen by the previous call.
#[derive(Debug, Default)]
pub(super) struct Reaper {
    seen: Vec<i32>,
}

impl Reaper {
    /// Reaps children that had already ended at the previous call. Those started by the program are waited for at
    /// once and so never seen twice.
    pub(super) fn reap(&mut self) {
        let ended = ended_children();
        for pid in ended.iter().filter(|pid| self.seen.contains(pid)) {
            let _waited_for_elsewhere = waitpid(Pid::from_raw(*pid), Some(WaitPidFlag::WNOHANG));
        }
        self.seen = ended;
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Reaper;
    use crate::embedded::process::ended_children;

    #[test]
    #[expect(clippy::zombie_processes, reason = "it is reaped by number, which is what is tested")]
    fn orphaned_child_is_reaped_at_the_second_check() {
        let child = std::process::Command::new("true").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(60) && !ended_children().contains(&pid) {
            std::thread::yield_now();
        }
        let mut reaper = Reaper::default();
        reaper.reap();
        assert!(ended_children().contains(&pid));
        reaper.reap();
        assert!(!ended_children().contains(&pid));
    }
}
