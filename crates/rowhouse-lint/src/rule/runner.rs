//! What the runner would not read.

use super::{Hit, Scene};

pub(super) fn unknown_directive(scene: &Scene<'_>) -> Vec<Hit> {
    scene.file.bad_directives.iter().map(|bad| Hit::new(bad.at, bad.message.as_str())).collect()
}
