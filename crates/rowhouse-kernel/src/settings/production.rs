//! What production refuses whatever the modules are: secrets that are short, well known, or used twice.
//! Leaves what a single group knows about its values to the group.

use super::{GroupSpec, Settings};
use crate::Secret;

/// Shortest secret that production accepts, in characters.
pub const SHORTEST_SECRET: usize = 32;
/// What production says of a secret that the operator has made up, as the reference page says it.
pub const WEAK_SECRET: &str = "fewer than 32 characters, a value that is well known from examples, or one that serves as another secret as well";
/// Secrets that examples all over the web carry.
const WELL_KNOWN: &[&str] = &[
    "super-secret-jwt-token-with-at-least-32-characters-long",
    "your-super-secret-jwt-token-with-at-least-32-characters-long",
    "your-super-secret-and-long-postgres-password",
    "changeme-changeme-changeme-changeme",
];

/// Everything unsafe about a production configuration, each named.
#[must_use]
pub fn unsafe_settings(groups: &[GroupSpec], settings: &Settings) -> Vec<String> {
    let mut found = Vec::new();
    groups.iter().for_each(|group| (group.production)(settings, &mut found));
    let secrets: Vec<_> = groups.iter().flat_map(|group| (group.secrets)(settings)).collect();
    let passwords: Vec<_> = groups.iter().flat_map(|group| (group.passwords)(settings)).collect();
    for (index, (name, secret)) in secrets.iter().enumerate() {
        found.extend(weakness(secret).map(|why| format!("{name}: {why}")));
        if let Some((url, _)) = passwords.iter().find(|(_, password)| password == secret.expose()) {
            found.push(format!("{name}: the same secret as the password in {url}"));
        }
        if let Some((other, _)) = secrets[..index].iter().find(|(_, other)| other == secret) {
            found.push(format!("{name}: the same secret as {other}"));
        }
    }
    found
}

fn weakness(secret: &Secret) -> Option<String> {
    match secret.expose() {
        text if WELL_KNOWN.contains(&text) => Some("a well-known default".to_owned()),
        text if text.chars().count() < SHORTEST_SECRET => {
            Some(format!("shorter than {SHORTEST_SECRET} characters"))
        }
        _ => None,
    }
}
