//! Password hashes: Argon2id for new ones, Argon2 and bcrypt for those that came along.
//!
//! Every function here burns a core for some 50 ms and takes 19 MiB; how many run at once is the caller's to bound.
//! Which passwords are good enough is decided in `rowhouse-auth`.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
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

/// A hash with current parameters that no password has: compared with when an account does not exist.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$cm93aG91c2Utbm9ib2R5IQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// What comparing a password with a hash says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is the password.
    Match,
    /// It is the password, and the hash should be replaced: another algorithm or other parameters than today's.
    MatchOutdated,
    /// It is not, or the stored text is no hash that we can check.
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
    let params =
        Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|error| HashError(error.to_string()))?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash = argon2.hash_password_with_salt(password.as_bytes(), &salt);
    hash.map(|hash| hash.to_string()).map_err(|error| HashError(error.to_string()))
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

/// True if [`verify`] could ever say yes to this text: an importable hash.
#[must_use]
pub fn is_supported(stored: &str) -> bool {
    if stored.starts_with("$2") {
        return bcrypt_is_affordable(stored) && stored.len() == 60;
    }
    PasswordHash::new(stored).is_ok_and(|hash| argon2_is_affordable(&hash) && hash.hash.is_some())
}

fn verify_bcrypt(password: &str, stored: &str) -> Verdict {
    let matches = bcrypt_is_affordable(stored) && bcrypt::verify(password, stored).unwrap_or(false);
    if matches { Verdict::MatchOutdated } else { Verdict::Mismatch }
}

fn bcrypt_is_affordable(stored: &str) -> bool {
    stored.parse::<bcrypt::HashParts>().is_ok_and(|parts| parts.get_cost() <= MAX_BCRYPT_COST)
}

fn verify_argon2(password: &str, stored: &str) -> Verdict {
    let Ok(hash) = PasswordHash::new(stored) else { return Verdict::Mismatch };
    if !argon2_is_affordable(&hash) || Argon2::default().verify_password(password.as_bytes(), &hash).is_err()
    {
        return Verdict::Mismatch;
    }
    if is_current(&hash) { Verdict::Match } else { Verdict::MatchOutdated }
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
