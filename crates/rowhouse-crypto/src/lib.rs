#![doc = include_str!("../README.md")]

mod api_key;
mod base64url;
mod code;
mod counter_token;
mod digester;
mod envelope;
mod jwk;
mod key;
mod opaque;
pub mod password;
mod pem;
mod ring;
mod signed_text;
mod token;
mod totp;
mod trusted;
pub mod webauthn;

pub use api_key::ApiKey;
pub use code::{CodeKey, is_equal, random_digits, sha1_hex, sha256_base64url};
pub use counter_token::{CounterKey, CounterToken, CounterTokenError};
pub use digester::Digester;
pub use envelope::{Envelope, EnvelopeError};
pub use jwk::{Jwk, JwkSet};
pub use key::{Algorithm, KeyError, KeyPair, VerifyingKey};
pub use opaque::{OpaqueSecret, digest_bytes_hex, digest_hex};
pub use pem::pkcs8_of_pem;
pub use ring::{Key, KeyRing, Purpose, Status};
pub use signed_text::SignedText;
pub use token::{MAX_TOKEN_LENGTH, TokenError, TokenSource, VerifiedToken};
pub use totp::TotpSecret;
pub use trusted::{IdToken, TrustedKeys};
