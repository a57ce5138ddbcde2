//! The words of flags: kinds, scopes, and the values that a default, rule or override gives. Leaves what a value comes to
//! for a caller to [`crate::evaluate`].

use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The value for everybody.
pub(crate) const ON: &str = "on";
/// The value for nobody.
pub(crate) const OFF: &str = "off";
/// The value that a subject's bucket decides about: by percentage, or by the variants' weights.
pub(crate) const ROLLOUT: &str = "rollout";

macro_rules! words {
    ($(#[$doc:meta])* $name:ident as $schema:literal { $($(#[$each:meta])* $word:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, ValueEnum)]
        #[serde(rename_all = "lowercase")]
        #[schemars(rename = $schema)]
        pub(crate) enum $name {
            $($(#[$each])* $word),+
        }

        impl $name {
            /// As stored.
            pub(crate) fn as_str(self) -> &'static str {
                match self {
                    $(Self::$word => $text),+
                }
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($text => Ok(Self::$word),)+
                    _ => Err(format!("expected one of {}", [$($text),+].join(", "))),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// What a flag can be for a caller.
    Kind as "FlagKind" {
        /// On or off.
        Boolean = "boolean",
        /// On for a share of the subjects.
        Percentage = "percentage",
        /// One of several names.
        Variant = "variant",
    }
}

words! {
    /// Whose id is meant.
    Scope as "FlagScope" {
        /// A user.
        User = "user",
        /// A tenant.
        Tenant = "tenant",
        /// An organization.
        Organization = "organization",
    }
}

/// A value, read for its flag. What the flag does not know is off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Value {
    #[default]
    Off,
    On,
    Rollout,
    /// By its place among the flag's variants.
    Variant(u8),
}

impl Value {
    /// The value of this text in a flag of that kind.
    pub(crate) fn read(kind: Kind, variants: &[String], text: &str) -> Self {
        Self::find(kind, variants, text).unwrap_or(Self::Off)
    }

    /// The same; none if the flag has no such value.
    pub(crate) fn find(kind: Kind, variants: &[String], text: &str) -> Option<Self> {
        match (text, kind) {
            (OFF, _) => Some(Self::Off),
            (ON, Kind::Boolean | Kind::Percentage) => Some(Self::On),
            (ROLLOUT, Kind::Percentage | Kind::Variant) => Some(Self::Rollout),
            (_, Kind::Boolean | Kind::Percentage) => None,
            (name, Kind::Variant) => {
                let at = variants.iter().position(|variant| variant == name)?;
                u8::try_from(at).ok().map(Self::Variant)
            }
        }
    }
}
