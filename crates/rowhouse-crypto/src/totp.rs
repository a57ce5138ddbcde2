//! One-time passwords by time (RFC 6238): SHA-1, 30 seconds, as authenticator apps assume them.
//!
//! Leaves storing the secret and the last accepted step to the caller.

use aws_lc_rs::hmac;
use data_encoding::BASE32_NOPAD;
use rowhouse_kernel::Rng;
use zeroize::Zeroizing;

use crate::is_equal;

/// Seconds of a time step.
const STEP: i64 = 30;
/// Steps before and after the present one whose codes are accepted: for slow fingers, and for clocks that differ.
const WINDOW: i64 = 1;
/// Bytes of a new secret: the length of SHA-1's output, as RFC 4226 section 4 recommends.
const LENGTH: usize = 20;
/// Digits of a code.
const DIGITS: u32 = 6;

/// The secret that server and authenticator share.
pub struct TotpSecret(Zeroizing<Vec<u8>>);

impl std::fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TotpSecret")
    }
}

impl TotpSecret {
    /// A new secret of 160 bits.
    #[must_use]
    pub fn generate(rng: &dyn Rng) -> Self {
        let mut bytes = Zeroizing::new(vec![0_u8; LENGTH]);
        rng.fill(&mut bytes);
        Self(bytes)
    }

    /// Reads base32 (RFC 4648) in any case, with or without padding; `None` for anything else and for nothing at all.
    #[must_use]
    pub fn from_base32(text: &str) -> Option<Self> {
        let text = text.trim().trim_end_matches('=').to_ascii_uppercase();
        let bytes = BASE32_NOPAD.decode(text.as_bytes()).ok().filter(|bytes| !bytes.is_empty())?;
        Some(Self(Zeroizing::new(bytes)))
    }

    /// The secret as people type it into an app.
    #[must_use]
    pub fn to_base32(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE32_NOPAD.encode(&self.0))
    }

    /// The time step whose code this is, near `now` (seconds since 1970) and later than `last`. A step is accepted once
    /// (RFC 6238 section 5.2), so the caller stores it as the next `last`.
    #[must_use]
    pub fn find_step(&self, code: &str, now: i64, last: Option<i64>) -> Option<i64> {
        let present = now.div_euclid(STEP);
        let mut steps = present - WINDOW..=present + WINDOW;
        steps.find(|step| {
            let expected = u64::try_from(*step).map(|counter| self.code(counter, DIGITS));
            let is_code = expected.is_ok_and(|expected| is_equal(expected.as_bytes(), code.as_bytes()));
            is_code && last.is_none_or(|last| *step > last)
        })
    }

    /// The code that an authenticator shows at `now` (seconds since 1970).
    #[must_use]
    pub fn code_at(&self, now: i64) -> String {
        self.code(u64::try_from(now.div_euclid(STEP)).unwrap_or_default(), DIGITS)
    }

    /// HOTP (RFC 4226 section 5.3): the code of one counter value.
    fn code(&self, counter: u64, digits: u32) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &self.0);
        let tag = hmac::sign(&key, &counter.to_be_bytes());
        let bytes = tag.as_ref();
        let offset = usize::from(bytes.last().copied().unwrap_or_default() & 0xf);
        let word = bytes.iter().skip(offset).take(4).fold(0_u32, |word, byte| (word << 8) | u32::from(*byte));
        let width = digits as usize;
        format!("{:0width$}", (word & 0x7fff_ffff) % 10_u32.pow(digits))
    }
}

#[cfg(test)]
mod tests {
    use rowhouse_kernel::SeededRng;
    use zeroize::Zeroizing;

    use super::{DIGITS, STEP, TotpSecret};

    /// The secret of the test vectors in RFC 4226 appendix D and RFC 6238 appendix B.
    fn secret() -> TotpSecret {
        TotpSecret(Zeroizing::new(b"12345678901234567890".to_vec()))
    }

    #[test]
    fn codes_are_those_of_rfc_6238() {
        for (time, code) in [
            (59, "94287082"),
            (1_111_111_109, "07081804"),
            (1_111_111_111, "14050471"),
            (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"),
            (20_000_000_000, "65353130"),
        ] {
            assert_eq!(secret().code(time / 30, 8), code, "at {time}");
            let now = i64::try_from(time).unwrap();
            assert_eq!(secret().find_step(&code[2..], now, None), Some(now / STEP), "at {time}");
        }
    }

    #[test]
    fn codes_are_those_of_rfc_4226() {
        let codes = [
            "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871",
            "520489",
        ];
        for (counter, code) in codes.into_iter().enumerate() {
            assert_eq!(secret().code(counter as u64, DIGITS), code, "{counter}");
        }
    }

    #[test]
    fn neighbouring_steps_are_accepted_and_others_are_not() {
        let now = 1_800_000_000;
        let code = |steps: i64| secret().code(u64::try_from(now / STEP + steps).unwrap(), DIGITS);
        for steps in -1..=1 {
            assert_eq!(secret().find_step(&code(steps), now, None), Some(now / STEP + steps));
        }
        for steps in [-3, -2, 2, 3] {
            assert_eq!(secret().find_step(&code(steps), now, None), None, "{steps}");
        }
    }

    #[test]
    fn a_step_is_accepted_once_and_no_earlier_one_after_it() {
        let now = 1_800_000_000;
        let code = |steps: i64| secret().code(u64::try_from(now / STEP + steps).unwrap(), DIGITS);
        let last = Some(now / STEP);
        assert_eq!(secret().find_step(&code(0), now, last), None);
        assert_eq!(secret().find_step(&code(-1), now, last), None);
        assert_eq!(secret().find_step(&code(1), now, last), Some(now / STEP + 1));
    }

    #[test]
    fn codes_of_other_forms_are_refused() {
        let now = 59;
        for code in ["", "28708", "2870820", " 287082", "94287082", "28708２"] {
            assert_eq!(secret().find_step(code, now, None), None, "{code:?}");
        }
        assert_eq!(secret().find_step("755224", 0, None), Some(0));
    }

    #[test]
    fn base32_is_read_in_any_case_with_or_without_padding() {
        let new = TotpSecret::generate(&*SeededRng::new(1));
        let text = new.to_base32();
        assert_eq!(text.len(), 32);
        assert_eq!(TotpSecret::from_base32(&text).unwrap().0, new.0);
        assert_eq!(TotpSecret::from_base32("mzxw6===").unwrap().0.as_slice(), b"foo");
        for text in ["", "====", "MZXW1", "M"] {
            assert!(TotpSecret::from_base32(text).is_none(), "{text:?}");
        }
    }
}
