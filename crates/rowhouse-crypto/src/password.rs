//! Password hashes: Argon2id for new ones, Argon2 and bcrypt for those that came along.
//!
//! Every function here burns a core for some 50 ms and takes 19 MiB; how many run at once is the caller's to bound.
//! Which passwords are good enough is decided in `rowhouse-auth`.

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use rowhouse_kernel::Rng;

/// Longest password in bytes: what bcrypt can see of one, and GoTrue's cap, so that hashes stay portable.
pub const MAX_BYTES: usize = 72;

/// Memory in KiB, passes, lanes: OWASP's first recommendation for Argon2id.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// The most that an imported hash may ask for: some seconds, 256 MiB.
const MAX_MEMORY_KIB: u32 = 262_144;
const MAX_PASSES: u32 = 16;
const MAX_BCRYPT_COST: u32 = 15;

/// 33 MiB in Argon2's blocks of 1 KiB.
const BLOCKS_APART: usize = 33 * 1024;

/// A hash with current parameters that no password has: compared with when an account does not exist.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$cm93aG91c2Utbm9ib2R5IQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A bcrypt hash of the usual cost (GoTrue's, 10) that no password has: compared with to learn how long bcrypt takes here.
const NOBODY_BCRYPT: &str = "$2b$10$abcdefghijklmnopqrstuuAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.";

/// What comparing with a hash costs: the same for all of one kind, other kinds take longer or shorter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HashKind {
    /// No such account, or Argon2 with today's parameters.
    Current,
    /// Argon2 with other parameters.
    Argon2 {
        /// KiB times passes.
        work: u32,
    },
    /// bcrypt with this cost.
    Bcrypt {
        /// The logarithm of the rounds.
        cost: u32,
    },
    /// Text in no supported format; comparing it takes no time.
    Unusable,
}

/// The kind of a stored hash.
#[must_use]
pub fn kind(stored: Option<&str>) -> HashKind {
    let Some(stored) = stored.filter(|stored| !stored.is_empty()) else { return HashKind::Current };
    if stored.starts_with("$2") {
        let cost = stored.parse::<bcrypt::HashParts>().map(|parts| parts.get_cost());
        return cost.map_or(HashKind::Unusable, |cost| HashKind::Bcrypt { cost });
    }
    match PasswordHash::new(stored) {
        Ok(hash) if is_current(&hash) => HashKind::Current,
        Ok(hash) => Params::try_from(&hash).map_or(HashKind::Unusable, |params| HashKind::Argon2 {
            work: params.m_cost().saturating_mul(params.t_cost()),
        }),
        Err(_) => HashKind::Unusable,
    }
}

/// Compares with one dummy hash of each usual kind, so that their durations are known before the first sign-in
/// of a user whose hash is of that kind.
pub fn rehearse(mut took: impl FnMut(HashKind, &mut dyn FnMut())) {
    took(HashKind::Current, &mut || _ = verify_argon2("", NOBODY));
    took(kind(Some(NOBODY_BCRYPT)), &mut || _ = verify_bcrypt("", NOBODY_BCRYPT));
}

/// What comparing a password with a hash says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is the password.
    Match,
    /// It is the password, and the hash should be replaced: another algorithm or other parameters than today's.
    MatchOutdated,
    /// It is not, or the stored text is in no supported format.
    Mismatch,
}

impl Verdict {
    /// True for both kinds of match.
    #[must_use]
    pub fn is_match(self) -> bool {
        self != Self::Mismatch
    }
}

/// The password could not be hashed: the crypto library refused its own parameters.
#[derive(Debug, thiserror::Error)]
#[error("password hashing failed: {0}")]
pub struct HashError(String);

/// Hashes a new password with Argon2id to a PHC string.
///
/// # Errors
/// Only when the library refuses.
pub fn hash(password: &str, rng: &dyn Rng) -> Result<String, HashError> {
    let mut salt = [0_u8; 16];
    rng.fill(&mut salt);
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(refused)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut output = [0_u8; Params::DEFAULT_OUTPUT_LEN];
    compute(&argon2, password, &salt, &mut output).map_err(refused)?;
    let hash = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(argon2.params()).map_err(refused)?,
        salt: Some(Salt::new(&salt).map_err(refused)?),
        hash: Some(Output::new(&output).map_err(refused)?),
    };
    Ok(hash.to_string())
}

fn refused(error: impl std::fmt::Display) -> HashError {
    HashError(error.to_string())
}

/// Runs Argon2 in memory that goes back to the operating system afterwards: glibc serves requests above its
/// largest `mmap` threshold (32 MiB) by a mapping of their own, and pages that are never touched are never
/// resident. Smaller blocks would stay in the heap, as many of them as hashes ever ran at once.
fn compute(argon2: &Argon2<'_>, password: &str, salt: &[u8], output: &mut [u8]) -> argon2::Result<()> {
    let blocks = argon2.params().block_count();
    let mut memory = Vec::with_capacity(blocks.max(BLOCKS_APART));
    memory.resize(blocks, Block::default());
    argon2.hash_password_into_with_memory(password.as_bytes(), salt, output, &mut memory)
}

/// Compares `password` with the stored hash; `None` (no such account, or one without a password) costs as much as a
/// mismatch, so that the time taken does not tell which accounts exist.
#[must_use]
pub fn verify(password: &str, stored: Option<&str>) -> Verdict {
    match stored.filter(|stored| !stored.is_empty()) {
        None => {
            let _ = verify_argon2(password, NOBODY);
            Verdict::Mismatch
        }
        Some(stored) if stored.starts_with("$2") => verify_bcrypt(password, stored),
        Some(stored) => verify_argon2(password, stored),
    }
}

/// True if [`verify`] supports the format of this hash, which can then be imported.
#[must_use]
pub fn is_supported(stored: &str) -> bool {
    if stored.starts_with("$2") {
        return bcrypt_is_affordable(stored) && stored.len() == 60;
    }
    PasswordHash::new(stored).is_ok_and(|hash| argon2_is_affordable(&hash) && hash.hash.is_some())
}

fn verify_bcrypt(password: &str, stored: &str) -> Verdict {
    let matches = bcrypt_is_affordable(stored) && bcrypt::verify(password, stored).unwrap_or(false);
    match matches {
        false => Verdict::Mismatch,
        // bcrypt has compared the first 72 bytes only. A new hash of what was typed could lock out the right
        // password.
        true if password.len() >= MAX_BYTES => Verdict::Match,
        true => Verdict::MatchOutdated,
    }
}

fn bcrypt_is_affordable(stored: &str) -> bool {
    stored.parse::<bcrypt::HashParts>().is_ok_and(|parts| parts.get_cost() <= MAX_BCRYPT_COST)
}

fn verify_argon2(password: &str, stored: &str) -> Verdict {
    let Ok(hash) = PasswordHash::new(stored) else { return Verdict::Mismatch };
    match argon2_is_affordable(&hash) && argon2_matches(password, &hash).unwrap_or(false) {
        false => Verdict::Mismatch,
        true if is_current(&hash) => Verdict::Match,
        true => Verdict::MatchOutdated,
    }
}

/// `None` when the text lacks a part.
fn argon2_matches(password: &str, hash: &PasswordHash) -> Option<bool> {
    let algorithm = Algorithm::try_from(hash.algorithm.as_str()).ok()?;
    // Hashes from before 2016 carry no version.
    let version = hash.version.map_or(Ok(Version::V0x10), Version::try_from).ok()?;
    let argon2 = Argon2::new(algorithm, version, Params::try_from(hash).ok()?);
    let expected = hash.hash?;
    let mut output = vec![0_u8; expected.as_ref().len()];
    compute(&argon2, password, hash.salt?.as_ref(), &mut output).ok()?;
    Some(verify_slices_are_equal(&output, expected.as_ref()).is_ok())
}

fn argon2_is_affordable(hash: &PasswordHash) -> bool {
    hash.algorithm.as_str().starts_with("argon2")
        && Params::try_from(hash).is_ok_and(|p| p.m_cost() <= MAX_MEMORY_KIB && p.t_cost() <= MAX_PASSES)
}

fn is_current(hash: &PasswordHash) -> bool {
    hash.algorithm.as_str() == "argon2id"
        && Params::try_from(hash)
            .is_ok_and(|p| (p.m_cost(), p.t_cost(), p.p_cost()) == (MEMORY_KIB, PASSES, LANES))
}

#[cfg(test)]
mod tests;
