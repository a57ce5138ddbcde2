//! The list of defects. Leaves the statements to the families.

use std::sync::LazyLock;

use super::place::Kind;
use super::{policy, role, routine, table, view};

const FAMILIES: [&[Kind]; 5] = [policy::KINDS, table::KINDS, role::KINDS, view::KINDS, routine::KINDS];

/// All of them.
pub static KINDS: LazyLock<Vec<Kind>> = LazyLock::new(|| FAMILIES.concat());
