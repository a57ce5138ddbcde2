//! The file that receives the server's standard error; its size is bounded, since every refused statement adds to it.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;

use nix::fcntl::OFlag;

use super::{ClusterPaths, EmbeddedError, io};

/// Size at which the log is truncated.
const LONGEST: u64 = 16 * 1024 * 1024;

/// Opens the log for appending. Never through a symbolic link: the folder belongs to the server's account, and the
/// program may run as root.
pub(super) fn open(paths: &ClusterPaths) -> Result<File, EmbeddedError> {
    let mut options = OpenOptions::new();
    options.create(true).append(true).mode(0o600).custom_flags(OFlag::O_NOFOLLOW.bits());
    options.open(&paths.log).map_err(io("cannot open the server's log"))
}

/// Truncates a log that has grown too large while the server continues to append to it.
pub(super) fn keep_short(paths: &ClusterPaths) {
    let cut = open(paths)
        .is_ok_and(|log| log.metadata().is_ok_and(|log| log.len() > LONGEST) && log.set_len(0).is_ok());
    if cut {
        tracing::warn!(log = %paths.log.display(), "the database server's log was cut at 16 MiB");
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::{LONGEST, keep_short, open};
    use crate::embedded::ClusterPaths;

    #[test]
    fn long_log_is_cut_under_its_writer_and_a_link_is_not_followed() {
        let place = tempfile::tempdir().unwrap();
        let home = place.path().to_owned();
        let paths =
            ClusterPaths { data: home.join("data"), run: home.join("run"), log: home.join("log"), home };
        let mut writer = open(&paths).unwrap();
        writer.write_all(b"kept").unwrap();
        keep_short(&paths);
        assert_eq!(paths.log.metadata().unwrap().len(), 4);
        writer.set_len(LONGEST + 1).unwrap();
        keep_short(&paths);
        writer.write_all(b"goes on").unwrap();
        assert_eq!(std::fs::read(&paths.log).unwrap(), b"goes on");
        std::fs::remove_file(&paths.log).unwrap();
        std::os::unix::fs::symlink(place.path().join("victim"), &paths.log).unwrap();
        assert!(open(&paths).is_err());
    }
}
