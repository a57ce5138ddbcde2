use rowhouse_crypto::{Algorithm, Envelope, KeyPair, Purpose, Status};
use rowhouse_kernel::{FakeClock, Secret, SeededRng};
use time::OffsetDateTime;

use super::vault::{Vault, missing};
use crate::store::key::KeyRow;

fn vault(secret: &str) -> Vault {
    let (clock, rng) = (FakeClock::at(OffsetDateTime::UNIX_EPOCH), SeededRng::new(1));
    Vault {
        envelope: Envelope::new(&Secret::new(secret)).unwrap().into(),
        trusted: None,
        algorithm: Algorithm::Es256,
        clock,
        rng,
    }
}

fn row(vault: &Vault, purpose: Purpose, status: Status) -> KeyRow {
    let pair = KeyPair::generate(Algorithm::Es256).unwrap();
    let private_sealed = match status {
        Status::Verifying => Vec::new(),
        _ => pair.seal(&vault.envelope, &*vault.rng).unwrap(),
    };
    KeyRow {
        jwk: pair.jwk().clone(),
        purpose,
        status,
        private_sealed,
        created_at: OffsetDateTime::UNIX_EPOCH,
        rotated_at: None,
    }
}

#[test]
fn empty_store_misses_a_signing_and_a_standby_key_per_purpose() {
    let all = Purpose::ALL.map(|purpose| [(purpose, Status::Signing), (purpose, Status::Standby)]).concat();
    assert_eq!(missing(&[]), all);
}

#[test]
fn after_a_rotation_only_the_standby_key_is_missing() {
    let vault = vault("s");
    let rows = [
        row(&vault, Purpose::Access, Status::Verifying),
        row(&vault, Purpose::Access, Status::Signing),
        row(&vault, Purpose::Api, Status::Signing),
        row(&vault, Purpose::Api, Status::Standby),
    ];
    assert_eq!(missing(&rows), [(Purpose::Access, Status::Standby)]);
}

#[test]
fn stored_rows_make_a_ring_and_retired_keys_need_no_private_half() {
    let vault = vault("s");
    let rows = [
        row(&vault, Purpose::Access, Status::Verifying),
        row(&vault, Purpose::Access, Status::Signing),
        row(&vault, Purpose::Api, Status::Signing),
    ];
    let ring = vault.ring(&rows, &[]).unwrap();
    assert_eq!(ring.jwks().keys.len(), 3);
    assert_eq!(ring.signing_kid(Purpose::Access), rows[1].jwk.kid);
}

#[test]
fn keys_sealed_with_another_secret_are_refused_with_the_name_of_the_setting() {
    let rows =
        [row(&vault("s"), Purpose::Access, Status::Signing), row(&vault("s"), Purpose::Api, Status::Signing)];
    let error = vault("t").ring(&rows, &[]).unwrap_err();
    assert!(error.to_string().contains("auth.key_secret"), "{error}");
}
