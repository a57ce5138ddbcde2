//! Authenticator data (section 6.1): a hash of the relying party's id, flags, a counter, and at registration the credential.

use super::{WebAuthnError, read_cbor};

/// Longest id of a credential (section 7.1, step 25).
const LONGEST_ID: usize = 1023;

/// What the authenticator says about user and credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags {
    /// Somebody touched it.
    pub user_present: bool,
    /// It knows who: by PIN, fingerprint or face.
    pub user_verified: bool,
    /// The credential may be synchronized between devices.
    pub backup_eligible: bool,
    /// It is.
    pub backed_up: bool,
}

/// The credential that an authenticator has made.
#[derive(Debug)]
pub(super) struct AttestedCredential {
    pub(super) aaguid: [u8; 16],
    pub(super) id: Vec<u8>,
    /// COSE.
    pub(super) public_key: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct AuthenticatorData {
    pub(super) rp_id_hash: [u8; 32],
    pub(super) flags: Flags,
    pub(super) sign_count: u32,
    pub(super) credential: Option<AttestedCredential>,
}

impl AuthenticatorData {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, WebAuthnError> {
        Self::read(bytes).ok_or(WebAuthnError::Malformed("authenticator data"))
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (rp_id_hash, rest) = bytes.split_first_chunk::<32>()?;
        let (&[bits], rest) = rest.split_first_chunk::<1>()?;
        let (count, mut rest) = rest.split_first_chunk::<4>()?;
        let has = |bit: u8| bits & (1 << bit) != 0;
        let flags =
            Flags { user_present: has(0), user_verified: has(2), backup_eligible: has(3), backed_up: has(4) };
        let (has_credential, has_extensions) = (has(6), has(7));
        let credential = match has_credential {
            true => Some(read_credential(&mut rest)?),
            false => None,
        };
        if has_extensions {
            let (extensions, behind) = read_cbor(rest)?;
            extensions.as_map()?;
            rest = behind;
        }
        // Level 3, section 6.1.3: what cannot be synchronized is not.
        let is_sound = rest.is_empty() && (flags.backup_eligible || !flags.backed_up);
        is_sound.then_some(Self {
            rp_id_hash: *rp_id_hash,
            flags,
            sign_count: u32::from_be_bytes(*count),
            credential,
        })
    }
}

fn read_credential(rest: &mut &[u8]) -> Option<AttestedCredential> {
    let (aaguid, behind) = rest.split_first_chunk::<16>()?;
    let (length, behind) = behind.split_first_chunk::<2>()?;
    let length = usize::from(u16::from_be_bytes(*length));
    let (id, key) = behind.split_at_checked(length).filter(|_| (1..=LONGEST_ID).contains(&length))?;
    let (_, behind) = read_cbor(key)?;
    let public_key = key.get(..key.len() - behind.len())?;
    *rest = behind;
    Some(AttestedCredential { aaguid: *aaguid, id: id.to_vec(), public_key: public_key.to_vec() })
}
