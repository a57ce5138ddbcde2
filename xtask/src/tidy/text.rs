//! Text that no committed file may contain: hosts of package registries and paths of a machine. Both make a build
//! depend on where it was written.

use super::Finding;
use super::tree::Tree;

/// Written in pieces, so that this file passes its own rule.
const HOSTS: &[&str] = &[
    concat!("registry.", "npmjs.org"),
    concat!("registry.", "yarnpkg.com"),
    concat!("npm.", "pkg.github.com"),
    concat!("crates", ".io"),
    concat!("py", "pi.org"),
    concat!("files.", "pythonhosted.org"),
    concat!("proxy.", "golang.org"),
    concat!("rubygems", ".org"),
    concat!("registry-1.", "docker.io"),
];

/// Folders that exist on one person's machine.
const PLACES: &[&str] =
    &[concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Us", "ers/")];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    // Cargo itself writes the registry's name into its lock file.
    let files = tree.files().filter(|(path, _)| *path != "Cargo.lock");
    files
        .flat_map(|(path, text)| {
            text.lines().enumerate().filter_map(move |(at, line)| judge(path, at + 1, line))
        })
        .collect()
}

fn judge(path: &str, number: usize, line: &str) -> Option<Finding> {
    if let Some(host) = HOSTS.iter().find(|host| line.contains(**host)) {
        return Some(Finding::new(path, number, format!("names the package registry `{host}`")));
    }
    let place =
        PLACES.iter().find(|place| line.match_indices(**place).any(|(at, _)| begins_path(line, at)))?;
    Some(Finding::new(path, number, format!("names a path of one machine under `{place}`")))
}

/// A longer path or a URL may well have such a folder in its middle.
fn begins_path(line: &str, at: usize) -> bool {
    let before = line.get(..at).and_then(|head| head.chars().next_back());
    before.is_none_or(|c| !c.is_alphanumeric() && !"/._-*$}>".contains(c))
}
