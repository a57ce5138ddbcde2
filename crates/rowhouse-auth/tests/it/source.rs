//! The program's own source and manual, for tests that compare them.

use std::path::Path;

/// Calls `look` with path and text of each file of the kind below the folder.
pub(crate) fn each(folder: &Path, kind: &str, look: &mut impl FnMut(&Path, &str)) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            each(&path, kind, look);
        } else if path.extension().is_some_and(|found| found == kind) {
            look(&path, &std::fs::read_to_string(&path).unwrap());
        }
    }
}
