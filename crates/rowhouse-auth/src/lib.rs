#![doc = include_str!("../README.md")]

mod act_as;
mod answer;
mod api_key;
mod authenticator;
mod breach;
mod captcha;
mod claims;
mod command;
mod factor;
mod fault;
mod floor;
mod flow;
mod hasher;
mod hook;
mod impersonation;
mod key_store;
mod language;
mod letter;
mod letter_limit;
mod lifetime;
mod limit;
mod live;
mod metadata;
mod method;
mod model;
mod module;
mod oauth;
mod oauth_scope;
mod one_time;
mod pace;
mod phone;
mod pkce;
mod policy;
mod provider;
mod redirect;
mod refusal;
mod request;
mod rotation;
mod route;
mod sealed;
mod sealed_text;
mod settings;
mod sms;
mod sms_limit;
mod state;
mod store;
mod webauthn;

pub use api_key::ApiKeys;
pub use hook::{hook_mistake, hook_mistakes};
pub use impersonation::{ImpersonationError, NewImpersonation, OpenedImpersonation};
pub use key_store::{
    API_KEY_LIFETIME, ApiKeyInfo, KeyInfo, KeyStore, KeyStoreError, Resealed, Revoked, Rotated,
    sealed_columns,
};
pub use module::AuthModule;
pub use route::{router, well_known_router};
pub use settings::{
    AuthHookSettings, AuthSettings, CaptchaProvider, HookTarget, MfaSettings, NotificationSettings,
    OauthServerSettings, ProviderSettings, SigningAlgorithm, SmsProvider, SmsSettings,
};
pub use state::{Auth, AuthParts};
pub use store::{REFRESH_STATEMENTS, USER_STATEMENT};

/// Platform migrations of this crate: schema `auth`.
pub const MIGRATIONS: &[rowhouse_db::migrate::Statement] = &[
    ("20261121000100_auth_core.sql", include_str!("../migrations/20261121000100_auth_core.sql")),
    ("20261121000657_auth_prune.sql", include_str!("../migrations/20261121000657_auth_prune.sql")),
    (
        "20261127110200_auth_signin_failures.sql",
        include_str!("../migrations/20261127110200_auth_signin_failures.sql"),
    ),
    ("20261127110210_auth_api_keys.sql", include_str!("../migrations/20261127110210_auth_api_keys.sql")),
    ("20261127110220_auth_audit.sql", include_str!("../migrations/20261127110220_auth_audit.sql")),
    (
        "20261127110230_auth_project_triggers.sql",
        include_str!("../migrations/20261127110230_auth_project_triggers.sql"),
    ),
    ("20261127120000_auth_comments.sql", include_str!("../migrations/20261127120000_auth_comments.sql")),
    (
        "20261127120420_auth_key_version.sql",
        include_str!("../migrations/20261127120420_auth_key_version.sql"),
    ),
    (
        "20261127135000_auth_project_rights.sql",
        include_str!("../migrations/20261127135000_auth_project_rights.sql"),
    ),
    ("20261127140100_auth_bounds.sql", include_str!("../migrations/20261127140100_auth_bounds.sql")),
    ("20261127150000_auth_flows.sql", include_str!("../migrations/20261127150000_auth_flows.sql")),
    (
        "20261127150010_auth_flow_comments.sql",
        include_str!("../migrations/20261127150010_auth_flow_comments.sql"),
    ),
    ("20261127150020_auth_hooks.sql", include_str!("../migrations/20261127150020_auth_hooks.sql")),
    ("20261127160100_auth_refresh.sql", include_str!("../migrations/20261127160100_auth_refresh.sql")),
    (
        "20261127160210_auth_root_secrets.sql",
        include_str!("../migrations/20261127160210_auth_root_secrets.sql"),
    ),
    ("20261127150030_auth_letters.sql", include_str!("../migrations/20261127150030_auth_letters.sql")),
    ("20261127151000_auth_external.sql", include_str!("../migrations/20261127151000_auth_external.sql")),
    (
        "20261127170000_auth_oauth_server.sql",
        include_str!("../migrations/20261127170000_auth_oauth_server.sql"),
    ),
    ("20261127170100_auth_phone.sql", include_str!("../migrations/20261127170100_auth_phone.sql")),
    (
        "20261127173000_auth_code_failures.sql",
        include_str!("../migrations/20261127173000_auth_code_failures.sql"),
    ),
    (
        "20261128111900_auth_impersonation.sql",
        include_str!("../migrations/20261128111900_auth_impersonation.sql"),
    ),
    (
        "20261128120000_auth_account_changes.sql",
        include_str!("../migrations/20261128120000_auth_account_changes.sql"),
    ),
];
