//! Scopes (RFC 6749 section 3.3): those of OpenID Connect.

use std::fmt;

/// One scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    OpenId,
    Profile,
    Email,
    Phone,
    /// Accepted and without effect: whether there are refresh tokens is the application's grant types.
    OfflineAccess,
}

impl Scope {
    pub(crate) const ALL: [Self; 5] =
        [Self::OpenId, Self::Profile, Self::Email, Self::Phone, Self::OfflineAccess];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::OpenId => "openid",
            Self::Profile => "profile",
            Self::Email => "email",
            Self::Phone => "phone",
            Self::OfflineAccess => "offline_access",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == name)
    }
}

/// A set of scopes, in the order in which they were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scopes(Vec<Scope>);

impl Scopes {
    /// Reads names separated by spaces. `None` if one is unknown, or there is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut scopes = Vec::new();
        for name in text.split(' ').filter(|name| !name.is_empty()) {
            let scope = Scope::parse(name)?;
            if !scopes.contains(&scope) {
                scopes.push(scope);
            }
        }
        (!scopes.is_empty()).then_some(Self(scopes))
    }

    /// The same of what was stored: names that are unknown now are left out.
    pub(crate) fn of_stored(text: &str) -> Self {
        Self(text.split(' ').filter_map(Scope::parse).collect())
    }

    pub(crate) fn has(&self, scope: Scope) -> bool {
        self.0.contains(&scope)
    }

    /// Whether all of `others` are among these.
    pub(crate) fn covers(&self, others: &Self) -> bool {
        others.0.iter().all(|scope| self.has(*scope))
    }

    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(|scope| scope.as_str()).collect()
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_known_names_without_repetition() {
        let scopes = Scopes::parse(" openid  email openid").unwrap();
        assert_eq!(scopes.to_string(), "openid email");
        for wrong in ["", " ", "openid admin", "OPENID", "openid,email"] {
            assert_eq!(Scopes::parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn narrower_scopes_are_covered_and_wider_ones_are_not() {
        let (wide, narrow) = (Scopes::parse("openid email").unwrap(), Scopes::parse("email").unwrap());
        assert!(wide.covers(&narrow) && wide.covers(&wide));
        assert!(!narrow.covers(&wide));
    }
}
