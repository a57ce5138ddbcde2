//! CPU time and memory of processes (proc_pid_stat(5), proc_pid_status(5)).

use anyhow::{Context, Result};

/// Microseconds in a clock tick: Linux shows 100 ticks per second to programs on every architecture in use.
const TICK_US: u64 = 10_000;

/// The server's process and PostgreSQL's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Processes {
    pub(crate) server: u32,
    pub(crate) postmaster: u32,
}

/// CPU time spent since the start, in microseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CpuTime {
    pub(crate) server_us: u64,
    /// The postmaster and all backends, those that have ended as well.
    pub(crate) postgres_us: u64,
}

impl CpuTime {
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            server_us: self.server_us.saturating_sub(earlier.server_us),
            postgres_us: self.postgres_us.saturating_sub(earlier.postgres_us),
        }
    }
}

impl Processes {
    pub(crate) fn cpu_time(self) -> Result<CpuTime> {
        let server = Stat::read(&self.server.to_string()).context("the server's /proc/…/stat")?;
        let postmaster = Stat::read(&self.postmaster.to_string()).context("PostgreSQL's /proc/…/stat")?;
        let mut postgres = postmaster.own_ticks + postmaster.ended_ticks;
        for entry in std::fs::read_dir("/proc")? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            // A process that ended meanwhile has no file any more.
            let Some(stat) = Stat::read(&name).filter(|stat| stat.parent == self.postmaster) else {
                continue;
            };
            postgres += stat.own_ticks;
        }
        Ok(CpuTime { server_us: server.own_ticks * TICK_US, postgres_us: postgres * TICK_US })
    }
}

/// Of `/proc/PID/stat`.
struct Stat {
    parent: u32,
    /// User and system time.
    own_ticks: u64,
    /// That of children that have been waited for.
    ended_ticks: u64,
}

impl Stat {
    fn read(pid: &str) -> Option<Self> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in brackets may hold anything; what follows starts with field 3.
        let fields: Vec<&str> = text.rsplit_once(") ")?.1.split_whitespace().collect();
        let ticks = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            own_ticks: ticks(14)? + ticks(15)?,
            ended_ticks: ticks(16)? + ticks(17)?,
        })
    }
}

/// Resident memory of a process: now, or the peak since it was last reset.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Memory {
    Now,
    Peak,
}

/// Resident memory in KiB.
pub(crate) fn resident_kib(pid: u32, memory: Memory) -> Result<u64> {
    let label = match memory {
        Memory::Now => "VmRSS:",
        Memory::Peak => "VmHWM:",
    };
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with(label)).context(label)?;
    Ok(line.split_whitespace().nth(1).context(label)?.parse()?)
}

/// Resets the peak.
pub(crate) fn forget_peak(pid: u32) -> Result<()> {
    std::fs::write(format!("/proc/{pid}/clear_refs"), "5").context("forgetting the peak of memory")
}
