//! PostgREST's configuration: each of its keys is mapped to one of ours, or has a note why it has no effect.
//!
//! Keys come from `PGRST_…` variables, from a `postgrest.conf`, or from the database (`alter role … set pgrst.…`).

use std::collections::BTreeMap;

use rowhouse_kernel::settings::{Translated, Translation};

/// How one of PostgREST's keys is handled.
enum Mapping {
    /// The equivalent setting of ours.
    Setting(&'static str, &'static str, Form),
    /// No equivalent: why it is not needed, or what to do instead.
    Note(&'static str),
}

/// How a value is converted.
#[derive(Clone, Copy)]
enum Form {
    /// Unchanged.
    Same,
    /// `true`, `TRUE`, `1` …
    Truth,
    /// A text, or `@` and the path of a file with it.
    FileOrText,
    /// An address, or `*`, `*4`, `!4`, `*6`, `!6`.
    Host,
    /// A log level; `crit` is read as `error`.
    Level,
}

use Form::{FileOrText, Host, Level, Same, Truth};
use Mapping::{Note, Setting};

const ONE_PORT: &str = "health and metrics answer on the one port, under /health and /metrics";
const LISTENS: &str = "it always listens on the channel pgrst; if you use another, notify pgrst";
const RECYCLED: &str = "connections are replaced by age on their own";
const SOCKET: &str = "it listens on TCP; put a proxy in front for a unix socket";

/// All keys of version 16, former names included.
const KEYS: &[(&str, Mapping)] = &[
    ("admin-server-host", Note(ONE_PORT)),
    ("admin-server-port", Note(ONE_PORT)),
    ("admin-server-unix-socket", Note(ONE_PORT)),
    ("admin-server-unix-socket-mode", Note(ONE_PORT)),
    ("client-error-verbosity", Setting("rest", "client_error_verbosity", Same)),
    ("db-aggregates-enabled", Setting("rest", "aggregates", Truth)),
    ("db-anon-role", Setting("rest", "anon_role", Same)),
    ("db-channel", Note(LISTENS)),
    ("db-channel-enabled", Note(LISTENS)),
    ("db-config", Note("settings in the database are read at the start of `serve`")),
    ("db-extra-search-path", Setting("rest", "extra_search_path", Same)),
    ("db-hoisted-tx-settings", Setting("rest", "hoisted_tx_settings", Same)),
    ("db-max-rows", Setting("rest", "max_rows", Same)),
    ("max-rows", Setting("rest", "max_rows", Same)),
    ("db-plan-enabled", Setting("rest", "plan_enabled", Truth)),
    ("db-pool", Setting("db", "data_pool_size", Same)),
    ("db-pool-acquisition-timeout", Setting("db", "acquire_timeout", Same)),
    ("db-pool-automatic-recovery", Note("it always reconnects")),
    ("db-pool-max-idletime", Note(RECYCLED)),
    ("db-pool-max-lifetime", Note(RECYCLED)),
    ("db-pool-timeout", Note(RECYCLED)),
    ("db-pre-config", Note("write what the function sets into rowhouse.toml")),
    ("db-pre-request", Setting("rest", "pre_request", Same)),
    ("pre-request", Setting("rest", "pre_request", Same)),
    ("db-prepared-statements", Note("statements are always prepared; connect without a transaction pooler")),
    ("db-root-spec", Setting("rest", "root_spec", Same)),
    ("root-spec", Setting("rest", "root_spec", Same)),
    ("db-schemas", Setting("rest", "schemas", Same)),
    ("db-schema", Setting("rest", "schemas", Same)),
    ("db-tx-end", Setting("rest", "tx_end", Same)),
    ("db-uri", Setting("db", "authenticator_url", FileOrText)),
    ("jwt-aud", Setting("auth", "jwt_aud", Same)),
    ("jwt-cache-max-entries", Note("verified tokens are kept within a fixed number of bytes")),
    ("jwt-cache-max-lifetime", Note("verified tokens are kept within a fixed number of bytes")),
    ("jwt-role-claim-key", Setting("auth", "jwt_role_claim_key", Same)),
    ("role-claim-key", Setting("auth", "jwt_role_claim_key", Same)),
    ("jwt-secret", Setting("auth", "jwt_secret", FileOrText)),
    ("jwt-secret-is-base64", Setting("auth", "jwt_secret_is_base64", Truth)),
    ("secret-is-base64", Setting("auth", "jwt_secret_is_base64", Truth)),
    ("log-level", Setting("log", "level", Level)),
    ("log-query", Note("set log_statement in PostgreSQL, or use `rowhouse rest explain`")),
    ("openapi-mode", Setting("rest", "openapi_mode", Same)),
    ("openapi-security-active", Setting("rest", "openapi_security_active", Truth)),
    (
        "openapi-server-proxy-uri",
        Note("the description names the path only; set server.public_url for tokens"),
    ),
    ("server-cors-allowed-origins", Setting("server", "cors_origins", Same)),
    ("server-host", Setting("server", "host", Host)),
    ("server-port", Setting("server", "port", Same)),
    ("server-reuseport", Note("one process serves the port; put a proxy in front of several")),
    ("server-timing-enabled", Setting("rest", "server_timing", Truth)),
    ("server-trace-header", Setting("rest", "trace_header", Same)),
    ("server-unix-socket", Note(SOCKET)),
    ("server-unix-socket-mode", Note(SOCKET)),
    ("url-use-legacy-target-names", Setting("rest", "legacy_target_names", Truth)),
];

/// Reads PostgREST's variables.
#[must_use]
pub fn from_variables(variables: &BTreeMap<String, String>) -> Translation {
    let named = variables.iter().filter_map(|(name, value)| {
        let rest = name.strip_prefix("PGRST_")?;
        let key = match rest.strip_prefix("APP_SETTINGS_") {
            Some(own) => format!("app.settings.{own}"),
            None => rest.to_ascii_lowercase().replace('_', "-"),
        };
        Some((name.clone(), key, value.clone()))
    });
    translate(named)
}

/// Settings kept with the data plane's login, (`pgrst.db_schemas`, value). Only those of the data API: whoever may
/// alter the role must not set keys and logins.
#[must_use]
pub fn from_database(pairs: impl IntoIterator<Item = (String, String)>) -> Translation {
    let found = translate(pairs.into_iter().map(|(name, value)| {
        let key = name.strip_prefix("pgrst.").unwrap_or(&name).replace('_', "-");
        (name, key, value)
    }));
    let (given, others): (Vec<_>, Vec<_>) = found.given.into_iter().partition(|given| given.key.0 == "rest");
    let refused =
        |given: Translated| format!("{} has no effect: it is not read from the database", given.origin);
    let notes = found.notes.into_iter().chain(others.into_iter().map(refused)).collect();
    Translation { given, notes }
}

/// Reads (origin, key, value); an empty value counts as unset, as in PostgREST.
pub fn translate(pairs: impl IntoIterator<Item = (String, String, String)>) -> Translation {
    let mut found = Translation::default();
    let mut own = serde_json::Map::new();
    for (origin, key, value) in pairs {
        if let Some(name) = key.strip_prefix("app.settings.") {
            own.insert(name.to_owned(), value.into());
            continue;
        }
        let empty_means = key == "db-extra-search-path";
        match KEYS.iter().find(|(name, _)| *name == key).map(|(_, mapping)| mapping) {
            _ if value.is_empty() && !empty_means => {}
            Some(Setting(section, name, form)) => {
                found.given.push(Translated { key: (section, name), text: form.read(&value), origin });
            }
            Some(Note(why)) => found.notes.push(format!("{origin} has no effect: {why}")),
            None => found.notes.push(format!("{origin} has no effect: PostgREST 16 has no such key")),
        }
    }
    if !own.is_empty() {
        let text = Ok(serde_json::Value::Object(own).to_string());
        let origin = "app.settings.*".to_owned();
        found.given.push(Translated { key: ("rest", "app_settings"), text, origin });
    }
    found
}

/// Every setting of this program to which a key is mapped: (group, key).
pub fn targets() -> impl Iterator<Item = (&'static str, &'static str)> {
    KEYS.iter().filter_map(|(_, mapping)| match mapping {
        Setting(section, name, _) => Some((*section, *name)),
        Note(_) => None,
    })
}

impl Form {
    fn read(self, value: &str) -> Result<String, String> {
        Ok(match self {
            Same => value.to_owned(),
            Truth => match value.trim().to_ascii_lowercase().as_str() {
                "true" => "true".to_owned(),
                "false" => "false".to_owned(),
                number => number.parse().map_or(number.to_owned(), |number: i64| (number > 0).to_string()),
            },
            FileOrText => match value.strip_prefix('@') {
                Some(path) => std::fs::read_to_string(path)
                    .map_err(|error| format!("cannot read {path}: {error}"))?
                    .trim_end()
                    .to_owned(),
                None => value.to_owned(),
            },
            Host => match value {
                "*" | "*4" | "!4" => "0.0.0.0".to_owned(),
                "*6" | "!6" => "::".to_owned(),
                address => address.to_owned(),
            },
            Level => if value == "crit" { "error" } else { value }.to_owned(),
        })
    }
}

/// Reads a `postgrest.conf`: `key = value` by lines, texts in quotation marks, `#` before comments. Returns (key, value).
///
/// # Errors
/// The first line with another form.
pub fn read_conf(text: &str) -> Result<Vec<(String, String)>, String> {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|(at, line)| assignment(line).ok_or_else(|| format!("line {at}: expected key = value")))
        .collect()
}

fn assignment(line: &str) -> Option<(String, String)> {
    let (key, value) = line.split_once('=')?;
    let (key, value) = (key.trim(), value.trim());
    let plain = |text: &str| text.split('#').next().unwrap_or_default().trim().to_owned();
    let value = if value.starts_with('"') { quoted(value)? } else { plain(value) };
    let is_key = !key.is_empty() && !key.contains(char::is_whitespace);
    is_key.then(|| (key.to_owned(), value))
}

/// The text between quotation marks; a backslash escapes the next character, `$$` stands for `$`.
fn quoted(text: &str) -> Option<String> {
    let mut found = String::new();
    let mut rest = text.chars().skip(1);
    loop {
        match rest.next()? {
            '"' => break,
            '\\' => match rest.next()? {
                'n' => found.push('\n'),
                't' => found.push('\t'),
                other => found.push(other),
            },
            other => found.push(other),
        }
    }
    let after: String = rest.collect();
    let after = after.trim();
    (after.is_empty() || after.starts_with('#')).then(|| found.replace("$$", "$"))
}

#[cfg(test)]
mod tests;
