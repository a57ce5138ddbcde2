//! How one value is read from TOML or from a variable, and shown again.

use std::time::Duration;

use crate::Secret;

/// A type that a settings field may have.
pub trait Setting: Sized + Clone {
    /// What the reference page calls it.
    const KIND: &'static str;
    /// The unit of a bare number; empty where there is none.
    const UNIT: &'static str = "";
    /// Secret values are masked wherever they are shown and may be given as `<KEY>_FILE`.
    const SECRET: bool = false;

    /// Reads a variable's text.
    ///
    /// # Errors
    /// What was expected instead.
    fn from_text(text: &str) -> Result<Self, String>;

    /// Reads a TOML value; by default the text form of a scalar.
    ///
    /// # Errors
    /// What was expected instead.
    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        match value {
            toml::Value::String(text) => Self::from_text(text),
            other => Err(format!("expected {}, found {}", Self::KIND, other.type_str())),
        }
    }

    /// The value as a person would write it; empty when there is none.
    fn show(&self) -> String;
}

impl Setting for String {
    const KIND: &'static str = "text";
    fn from_text(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
    fn show(&self) -> String {
        self.clone()
    }
}

impl Setting for Secret {
    const KIND: &'static str = "secret";
    const SECRET: bool = true;
    fn from_text(text: &str) -> Result<Self, String> {
        if text.is_empty() { Err("expected a secret, found nothing".to_owned()) } else { Ok(Self::new(text)) }
    }
    fn show(&self) -> String {
        "********".to_owned()
    }
}

impl Setting for bool {
    const KIND: &'static str = "true or false";
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("expected true or false, found \"{text}\""))
    }
    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        value.as_bool().ok_or_else(|| format!("expected true or false, found {}", value.type_str()))
    }
    fn show(&self) -> String {
        self.to_string()
    }
}

macro_rules! whole_number {
    ($($ty:ty),*) => {$(
        impl Setting for $ty {
            const KIND: &'static str = "whole number";
            fn from_text(text: &str) -> Result<Self, String> {
                text.parse().map_err(|_| format!("expected a whole number from 0 to {}, found \"{text}\"", <$ty>::MAX))
            }
            fn from_toml(value: &toml::Value) -> Result<Self, String> {
                let number = value.as_integer().ok_or_else(|| format!("expected a whole number, found {}", value.type_str()))?;
                <$ty>::try_from(number).map_err(|_| format!("expected a whole number from 0 to {}, found {number}", <$ty>::MAX))
            }
            fn show(&self) -> String {
                self.to_string()
            }
        }
    )*};
}
whole_number!(u16, u32, u64);

impl Setting for f64 {
    const KIND: &'static str = "number";
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("expected a number, found \"{text}\""))
    }
    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        match value {
            toml::Value::Float(number) => Ok(*number),
            other => other
                .as_integer()
                .and_then(|number| i32::try_from(number).ok())
                .map(Self::from)
                .ok_or_else(|| format!("expected a number, found {}", value.type_str())),
        }
    }
    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for Duration {
    const KIND: &'static str = "duration";
    const UNIT: &'static str = "seconds";
    fn from_text(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("expected a duration such as \"500ms\", \"10s\", \"5m\" or \"1h\", found \"{text}\"");
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let number: u64 = digits.parse().map_err(|_| wrong())?;
        let scale = match &text[digits.len()..] {
            "ms" => 1,
            "" | "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wrong()),
        };
        Ok(Self::from_millis(number.saturating_mul(scale)))
    }
    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        match value {
            toml::Value::Integer(seconds) => Self::from_text(&seconds.to_string()),
            toml::Value::String(text) => Self::from_text(text),
            other => Err(format!("expected a duration, found {}", other.type_str())),
        }
    }
    fn show(&self) -> String {
        match self.as_millis() {
            millis if millis % 1_000 == 0 => format!("{}s", millis / 1_000),
            millis => format!("{millis}ms"),
        }
    }
}

impl Setting for Vec<String> {
    const KIND: &'static str = "list of texts";
    fn from_text(text: &str) -> Result<Self, String> {
        Ok(text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect())
    }
    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        let wrong = || format!("expected a list of texts, found {}", value.type_str());
        let items = value.as_array().ok_or_else(wrong)?;
        items.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
    }
    fn show(&self) -> String {
        self.join(", ")
    }
}

impl<T: Setting> Setting for Option<T> {
    const KIND: &'static str = T::KIND;
    const UNIT: &'static str = T::UNIT;
    const SECRET: bool = T::SECRET;
    fn from_text(text: &str) -> Result<Self, String> {
        T::from_text(text).map(Some)
    }
    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        T::from_toml(value).map(Some)
    }
    fn show(&self) -> String {
        self.as_ref().map(T::show).unwrap_or_default()
    }
}

/// Declares an enum whose variants are written as fixed words.
#[macro_export]
macro_rules! words {
    ($(#[$meta:meta])* pub enum $name:ident { $( $(#[$vmeta:meta])* $variant:ident = $word:literal, )* }) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        $(#[$meta])*
        pub enum $name { $( $(#[$vmeta])* $variant, )* }

        impl $crate::settings::Setting for $name {
            const KIND: &'static str = concat!($("\"", $word, "\" ",)*);
            fn from_text(text: &str) -> Result<Self, String> {
                match text {
                    $( $word => Ok(Self::$variant), )*
                    other => Err(format!("expected one of {}, found \"{other}\"", [$($word),*].join(", "))),
                }
            }
            fn show(&self) -> String {
                match self { $( Self::$variant => $word.to_owned(), )* }
            }
        }
    };
}
pub(crate) use words;
