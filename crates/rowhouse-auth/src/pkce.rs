//! Code challenges (RFC 7636): their syntax and the comparison with a verifier.

use rowhouse_crypto::sha256_base64url;

/// Lengths that the RFC allows, in section 4.2.
const LENGTHS: std::ops::RangeInclusive<usize> = 43..=128;

/// How the challenge was made of the verifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChallengeMethod {
    S256,
    Plain,
}

impl ChallengeMethod {
    /// Names regardless of case, as GoTrue takes them.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "s256" => Some(Self::S256),
            "plain" => Some(Self::Plain),
            _ => None,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::S256 => "s256",
            Self::Plain => "plain",
        }
    }
}

/// A code challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Challenge {
    pub(crate) text: String,
    pub(crate) method: ChallengeMethod,
}

/// Why a challenge or verifier is refused, in GoTrue's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PkceError {
    #[error("PKCE flow requires code_challenge_method and code_challenge")]
    Incomplete,
    #[error("code challenge has to be between 43 and 128 characters")]
    Length,
    #[error(
        "code challenge can only contain alphanumeric characters, hyphens, periods, underscores and tildes"
    )]
    Characters,
    #[error("code challenge method not supported")]
    Method,
    #[error("code challenge does not match previously saved code verifier")]
    Mismatch,
}

impl Challenge {
    /// From the fields of a request; `None` without them: the implicit flow.
    pub(crate) fn read(challenge: Option<&str>, method: Option<&str>) -> Result<Option<Self>, PkceError> {
        let given = |text: Option<&'_ str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
        match (given(challenge), given(method)) {
            (None, None) => Ok(None),
            (Some(text), Some(method)) => Self::check(text, &method).map(Some),
            _ => Err(PkceError::Incomplete),
        }
    }

    fn check(text: String, method: &str) -> Result<Self, PkceError> {
        if !LENGTHS.contains(&text.len()) {
            return Err(PkceError::Length);
        }
        if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)) {
            return Err(PkceError::Characters);
        }
        let method = ChallengeMethod::parse(method).ok_or(PkceError::Method)?;
        Ok(Self { text, method })
    }

    /// Refuses a verifier that is not the one of this challenge.
    pub(crate) fn require(&self, verifier: &str) -> Result<(), PkceError> {
        let made = match self.method {
            ChallengeMethod::S256 => sha256_base64url(verifier.as_bytes()),
            ChallengeMethod::Plain => verifier.to_owned(),
        };
        if rowhouse_crypto::is_equal(made.as_bytes(), self.text.as_bytes()) {
            Ok(())
        } else {
            Err(PkceError::Mismatch)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7636 appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn verifier_of_the_rfc_fits_its_challenge_and_no_other() {
        let challenge = Challenge::read(Some(CHALLENGE), Some("S256")).unwrap().unwrap();
        assert_eq!(challenge.require(VERIFIER), Ok(()));
        assert_eq!(challenge.require(CHALLENGE), Err(PkceError::Mismatch));
        let plain = Challenge::read(Some(VERIFIER), Some("plain")).unwrap().unwrap();
        assert_eq!(plain.require(VERIFIER), Ok(()));
        assert_eq!(plain.require(""), Err(PkceError::Mismatch));
    }

    #[test]
    fn malformed_challenges_are_refused() {
        assert_eq!(Challenge::read(None, Some("")), Ok(None));
        let refused =
            |challenge: &str, method: &str| Challenge::read(Some(challenge), Some(method)).unwrap_err();
        assert_eq!(refused(CHALLENGE, ""), PkceError::Incomplete);
        assert_eq!(refused("", "s256"), PkceError::Incomplete);
        assert_eq!(refused("short", "s256"), PkceError::Length);
        assert_eq!(refused(&"ä".repeat(40), "s256"), PkceError::Characters);
        assert_eq!(refused(CHALLENGE, "md5"), PkceError::Method);
    }
}
