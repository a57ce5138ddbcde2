//! What a dump makes once its rows are there, by who makes it. References and separate checks are validated with the rights of whoever
//! adds them, and call the project's functions; indexes are built, and views filled, with those of their owners. Leaves running it to its parent.

use std::collections::HashSet;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;

use nix::sys::memfd::{MFdFlags, memfd_create};
use rowhouse_module::CannotRun;

/// What references need: made first.
const INDEXES: [&str; 3] = ["INDEX ", "CONSTRAINT ", "INDEX ATTACH "];
const CHECKED: [&str; 2] = ["FK CONSTRAINT ", "CHECK CONSTRAINT "];

/// Owners of what is restored.
#[derive(Debug, Default)]
pub(super) struct Owners {
    /// Those of whom the login that loads rows is a member.
    pub(super) joined: HashSet<String>,
    /// All roles of the server.
    pub(super) roles: Vec<String>,
}

impl Owners {
    /// Whether an entry, which ends with its owner, is of one that was joined. Names may have blanks: the longest counts.
    fn has(&self, entry: &str) -> bool {
        let is_owner =
            |role: &&String| entry.strip_suffix(role.as_str()).is_some_and(|front| front.ends_with(' '));
        let owner = self.roles.iter().filter(is_owner).max_by_key(|role| role.len());
        owner.is_some_and(|owner| self.joined.contains(owner))
    }
}

/// Entries of the table of contents, as `pg_restore --use-list` takes them.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PostData {
    /// By the superuser, first.
    pub(super) indexes: String,
    /// By the login that loads rows, before policies and triggers are there.
    pub(super) checked: String,
    /// By the superuser: what only one may make is among them, such as event triggers, and what belongs to one.
    pub(super) others: String,
}

impl PostData {
    /// Of a listing of that section.
    pub(super) fn of(listing: &str, owners: &Owners) -> Self {
        let mut parts = Self::default();
        for line in listing.lines().filter(|line| !line.starts_with(';') && !line.trim().is_empty()) {
            let entry = line.splitn(4, ' ').nth(3).unwrap_or_default();
            let is = |kinds: &[&str]| kinds.iter().any(|kind| entry.starts_with(kind));
            let part = match (is(&INDEXES), is(&CHECKED) && owners.has(entry)) {
                (true, _) => &mut parts.indexes,
                (false, true) => &mut parts.checked,
                (false, false) => &mut parts.others,
            };
            part.push_str(line);
            part.push('\n');
        }
        parts
    }
}

/// A list for a program that is started from here, in memory only.
pub(super) struct List(File);

impl List {
    pub(super) fn of(entries: &str) -> Result<Self, CannotRun> {
        let failed = |error: std::io::Error| CannotRun::because(format!("no list for pg_restore: {error}"));
        // Not closed on exec: the program opens it by its number.
        let mut file = memfd_create("rowhouse-restore", MFdFlags::empty())
            .map(File::from)
            .map_err(|error| failed(error.into()))?;
        file.write_all(entries.as_bytes()).map_err(failed)?;
        Ok(Self(file))
    }

    pub(super) fn option(&self) -> String {
        format!("--use-list=/dev/fd/{}", self.0.as_raw_fd())
    }
}

#[cfg(test)]
mod tests {
    use super::{Owners, PostData};

    const LISTING: &str = ";
; Archive created at 2026-11-28
3470; 2606 16480 CONSTRAINT public notes notes_pkey project
3471; 1259 16481 INDEX public notes_text_idx project
3472; 2606 16482 FK CONSTRAINT public notes notes_tenant_fkey project
3473; 2606 16483 CHECK CONSTRAINT public trap trap_check boss of project
3474; 0 16390 ROW SECURITY public notes project
3475; 3466 16484 EVENT TRIGGER - watch boss of project
";

    #[test]
    fn checks_and_references_are_of_their_owners_and_the_rest_of_whoever_restores() {
        let joined = ["project".to_owned()].into();
        let roles = ["project", "boss of project", "ect"].map(str::to_owned).to_vec();
        let parts = PostData::of(LISTING, &Owners { joined, roles });
        let numbers = |part: &str| part.lines().map(|line| line[..4].to_owned()).collect::<Vec<_>>();
        assert_eq!(numbers(&parts.indexes), ["3470", "3471"]);
        assert_eq!(numbers(&parts.checked), ["3472"]);
        assert_eq!(numbers(&parts.others), ["3473", "3474", "3475"]);
    }
}
