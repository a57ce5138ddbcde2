//! Names of counters: `{PREFIX:DATABASE}:LIMIT:KIND:SUBJECT`.
//!
//! What is in braces decides about the node of a cluster, so that one script can reach all counters of a request. Neither
//! the limit's name nor the kind contains a colon, so the subject, which may, is everything after the third.

use rowhouse_http::limit::{RateKey, Subject};

/// The beginning of the keys of one database.
#[derive(Debug, Clone)]
pub(crate) struct Prefix(String);

impl Prefix {
    /// `database` distinguishes it from all others on the same Redis.
    pub(crate) fn new(prefix: &str, database: &str) -> Self {
        Self(format!("{{{prefix}:{database}}}"))
    }

    pub(crate) fn of(&self, key: &RateKey) -> String {
        format!("{}:{}:{}:{}", self.0, key.limit, key.subject.kind(), subject(&key.subject))
    }

    /// A key that is no counter.
    pub(crate) fn probe(&self) -> String {
        format!("{}:probe", self.0)
    }
}

fn subject(subject: &Subject) -> String {
    match subject {
        Subject::V4(address) => address.to_string(),
        Subject::V6(network, bits) => format!("{network}/{bits}"),
        Subject::User(id) | Subject::Tenant(id) => id.to_string(),
        Subject::Key(name) | Subject::Plan(name) => name.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::Ipv6Addr;

    use rowhouse_http::limit::LimitName;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn every_counter_has_a_key_of_its_own_and_all_of_a_database_are_on_one_node() {
        let id = Uuid::from_u128(1);
        let subjects = [
            Subject::V4([192, 0, 2, 1].into()),
            Subject::key("192.0.2.1"),
            Subject::plan("192.0.2.1"),
            Subject::V6(Ipv6Addr::UNSPECIFIED, 48),
            Subject::V6(Ipv6Addr::UNSPECIFIED, 56),
            Subject::User(id),
            Subject::Tenant(id),
            Subject::key(&id.to_string()),
            Subject::key(""),
            Subject::key("a:key:b"),
            Subject::key("}{"),
        ];
        let prefix = Prefix::new("rowhouse", "7-16384");
        let limits = [LimitName::new("signin"), LimitName::new("signin-key")];
        let keys: BTreeSet<String> = limits
            .into_iter()
            .flat_map(|limit| subjects.clone().map(|subject| prefix.of(&RateKey { limit, subject })))
            .chain([prefix.probe()])
            .collect();
        assert_eq!(keys.len(), limits.len() * subjects.len() + 1, "{keys:#?}");
        assert!(keys.iter().all(|key| key.starts_with("{rowhouse:7-16384}:")), "{keys:#?}");
    }
}
