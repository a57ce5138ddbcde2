//! Secrets of applications as they were read last, so that a right one is told from a guess before the database is asked.
//! Whether a secret still holds is left to the database.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use rowhouse_kernel::Secret;
use uuid::Uuid;

use super::client::{OauthClient, Registration, has_digest};

/// Most applications kept; beyond it they are learned anew.
const MOST_KNOWN: usize = 1_000;

/// Digests of secrets by application: of those that an administrator has registered. Anybody can have one of the others.
#[derive(Debug, Default)]
pub(crate) struct KnownSecrets(Mutex<HashMap<Uuid, String>>);

impl KnownSecrets {
    /// Whether `secret` was an application's when it was read last.
    pub(crate) fn has(&self, id: &str, secret: Option<&Secret>) -> bool {
        let (Ok(id), Some(secret)) = (id.parse::<Uuid>(), secret) else { return false };
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&id).is_some_and(|digest| has_digest(secret.expose(), digest))
    }

    /// Takes what was just read.
    pub(crate) fn learn(&self, application: &OauthClient) {
        let is_trusted = application.registration == Registration::Manual && !application.is_public();
        let digest = application.secret_hash.as_ref().filter(|_| is_trusted);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(digest) = digest else {
            known.remove(&application.id);
            return;
        };
        if known.len() >= MOST_KNOWN && !known.contains_key(&application.id) {
            known.clear();
        }
        known.insert(application.id, digest.clone());
    }
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::super::client::{AuthMethod, ClientType};
    use super::*;

    fn application(number: u128, secret: &str, registration: Registration) -> OauthClient {
        OauthClient {
            id: Uuid::from_u128(number),
            secret_hash: Some(rowhouse_crypto::sha256_base64url(secret.as_bytes())),
            registration,
            client_type: ClientType::Confidential,
            auth_method: AuthMethod::Basic,
            redirect_uris: Vec::new(),
            post_logout_redirect_uris: Vec::new(),
            grant_types: Vec::new(),
            name: None,
            uri: None,
            logo_uri: None,
            created_at: OffsetDateTime::UNIX_EPOCH,
            updated_at: OffsetDateTime::UNIX_EPOCH,
        }
    }

    fn has(known: &KnownSecrets, number: u128, secret: &str) -> bool {
        known.has(&Uuid::from_u128(number).to_string(), Some(&Secret::new(secret.to_owned())))
    }

    #[test]
    fn secret_is_known_once_it_was_read_and_until_it_is_another() {
        let known = KnownSecrets::default();
        assert!(!has(&known, 1, "a"));
        known.learn(&application(1, "a", Registration::Manual));
        assert!(has(&known, 1, "a") && !has(&known, 1, "b") && !has(&known, 2, "a"));
        assert!(
            !known.has(&Uuid::from_u128(1).to_string(), None) && !known.has("x", Some(&Secret::new("a")))
        );
        known.learn(&application(1, "b", Registration::Manual));
        assert!(has(&known, 1, "b") && !has(&known, 1, "a"));
        known.learn(&OauthClient {
            client_type: ClientType::Public,
            ..application(1, "b", Registration::Manual)
        });
        assert!(!has(&known, 1, "b"));
    }

    #[test]
    fn applications_that_registered_themselves_are_not_kept_and_the_others_are_bounded() {
        let known = KnownSecrets::default();
        known.learn(&application(1, "a", Registration::Dynamic));
        assert!(!has(&known, 1, "a"));
        for number in 0..=MOST_KNOWN as u128 {
            known.learn(&application(number, "a", Registration::Manual));
        }
        assert!(has(&known, MOST_KNOWN as u128, "a") && !has(&known, 0, "a"));
    }
}
