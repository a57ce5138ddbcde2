//! Waiting for processes that become ours without being started by us: as process 1 of a container we are the parent of
//! every orphan, and nobody else takes their exit status.

use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use super::process::ended_children;

/// Ended children that the last look has seen already.
#[derive(Debug, Default)]
pub(super) struct Reaper {
    seen: Vec<i32>,
}

impl Reaper {
    /// Takes the exit status of children that had ended at the last call too. Those that were started here are waited for
    /// by their starter, at once, and so never seen twice.
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
    use super::Reaper;
    use crate::embedded::process::ended_children;

    #[test]
    #[expect(clippy::zombie_processes, reason = "it is reaped by number, which is what is tested")]
    fn child_that_nobody_waits_for_is_reaped_at_the_second_look() {
        let child = std::process::Command::new("true").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        while !ended_children().contains(&pid) {
            std::thread::yield_now();
        }
        let mut reaper = Reaper::default();
        reaper.reap();
        assert!(ended_children().contains(&pid));
        reaper.reap();
        assert!(!ended_children().contains(&pid));
    }
}
