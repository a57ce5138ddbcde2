//! What can be configured: one group per file, each field stating meaning and default.
//!
//! A group is written once with [`settings!`]; loading, `config explain` and the reference page in `docs/`
//! all read that one definition. Leaves finding the file and the environment to the binary.

mod app_settings;
mod auth;
mod db;
mod jobs;
mod log;
mod mail;
mod named;
mod plausible;
pub mod postgrest;
mod project;
mod rest;
mod server;
mod source;
mod value;

pub use app_settings::AppSettings;
pub use auth::{AuthSettings, SigningAlgorithm};
pub use db::DbSettings;
pub use jobs::{JobsSettings, KindHandler, KindSettings, Missed, QueueSettings, ScheduleSettings};
pub use log::{LogLevel, LogSettings};
pub use mail::{MailSettings, MailTransport, RelayTls};
pub use named::{Entry, Fields, Named};
pub use project::{Environment, ProjectSettings};
pub use rest::{DefaultGrants, ErrorVerbosity, OpenapiMode, RestSettings, TxEnd};
pub use server::ServerSettings;
pub use source::{Effective, Field, Source, Sources};
pub use value::Setting;

/// Declares a settings group: the struct, its defaults, its field table and its loader.
macro_rules! settings {
    (
        $(#[doc = $doc:literal])*
        pub struct $name:ident in $section:literal {
            $( $(#[doc = $fdoc:literal])* pub $field:ident: $ty:ty = $default:expr, )*
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone)]
        pub struct $name { $( $(#[doc = $fdoc])* pub $field: $ty, )* }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $field: $default, )* }
            }
        }

        impl $name {
            /// The group's name in `rowhouse.toml`; empty for top-level keys.
            pub const SECTION: &'static str = $section;

            /// The group's meaning, as documented.
            pub const ABOUT: &'static str = concat!($($doc, "\n",)*);

            /// Every field with its documentation, for the reference page.
            #[must_use]
            pub fn fields() -> Vec<$crate::settings::Field> {
                vec![ $( $crate::settings::Field::new::<$ty>(
                    $section, stringify!($field), concat!($($fdoc, "\n",)*), &$default), )* ]
            }

            /// Reads the group; mistakes are collected in `sources`, and the default stands in.
            pub fn load(sources: &mut $crate::settings::Sources) -> Self {
                Self { $( $field: sources.read($section, stringify!($field), $default), )* }
            }
        }
    };
}
pub(crate) use settings;

/// All groups together.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Top-level keys.
    pub project: ProjectSettings,
    /// `[server]`.
    pub server: ServerSettings,
    /// `[db]`.
    pub db: DbSettings,
    /// `[auth]`.
    pub auth: AuthSettings,
    /// `[rest]`.
    pub rest: RestSettings,
    /// `[mail]`.
    pub mail: MailSettings,
    /// `[jobs]`.
    pub jobs: JobsSettings,
    /// `[log]`.
    pub log: LogSettings,
}

impl Settings {
    /// Reads every group from `sources` and returns all mistakes at once, each naming its key.
    ///
    /// # Errors
    /// The list of mistakes, if there is any: wrong types, unknown keys, unreadable secret files.
    pub fn load(sources: &mut Sources) -> Result<Self, Vec<String>> {
        let settings = Self {
            project: ProjectSettings::load(sources),
            server: ServerSettings::load(sources),
            db: DbSettings::load(sources),
            auth: AuthSettings::load(sources),
            rest: RestSettings::load(sources),
            mail: MailSettings::load(sources),
            jobs: JobsSettings::load(sources),
            log: LogSettings::load(sources),
        };
        sources.refuse_unknown_keys();
        plausible::check(&settings, sources);
        match sources.take_mistakes() {
            mistakes if mistakes.is_empty() => Ok(settings),
            mistakes => Err(mistakes),
        }
    }

    /// Every field of every group in the order of the reference page, with the group's meaning.
    #[must_use]
    pub fn reference() -> Vec<(&'static str, &'static str, Vec<Field>)> {
        vec![
            (ProjectSettings::SECTION, ProjectSettings::ABOUT, ProjectSettings::fields()),
            (ServerSettings::SECTION, ServerSettings::ABOUT, ServerSettings::fields()),
            (DbSettings::SECTION, DbSettings::ABOUT, DbSettings::fields()),
            (AuthSettings::SECTION, AuthSettings::ABOUT, AuthSettings::fields()),
            (RestSettings::SECTION, RestSettings::ABOUT, RestSettings::fields()),
            (MailSettings::SECTION, MailSettings::ABOUT, MailSettings::fields()),
            (JobsSettings::SECTION, JobsSettings::ABOUT, JobsSettings::fields()),
            (LogSettings::SECTION, LogSettings::ABOUT, LogSettings::fields()),
        ]
    }
}

#[cfg(test)]
mod tests;
