//! File descriptors: raises the limit, and bounds connections by it. Without a reserve, idle clients would use up
//! descriptors that the database connections and the monitor need.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rowhouse_http::ServerSettings;

/// Reserved for the database, listeners, logs and files.
const RESERVED: u64 = 128;
/// A connection holds its socket twice; see the listener's lingering close.
const PER_CONNECTION: u64 = 2;

/// Raises the limit on open files, and lowers `server.max_connections` to what it suffices for.
pub(crate) fn raise(server: &mut ServerSettings) {
    server.max_connections = provide(server.max_connections);
}

/// Raises the soft limit to the hard one and returns how many of the `wanted` connections it suffices for.
fn provide(wanted: u32) -> u32 {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return wanted };
    let raised = setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok();
    let possible = affordable(if raised { hard } else { soft });
    if possible < wanted {
        tracing::warn!(
            wanted,
            possible,
            "server.max_connections is lowered to what the limit on open files (ulimit -n) suffices for"
        );
    }
    wanted.min(possible)
}

fn affordable(descriptors: u64) -> u32 {
    u32::try_from(descriptors.saturating_sub(RESERVED) / PER_CONNECTION).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::affordable;

    #[test]
    fn connections_leave_descriptors_for_other_uses() {
        assert_eq!(affordable(1024), 448);
        assert_eq!(affordable(100), 1);
        assert_eq!(affordable(u64::MAX), u32::MAX);
    }
}
