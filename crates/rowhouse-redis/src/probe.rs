//! What `rowhouse doctor` finds: whether the server can be used, its version and what it does when its memory is full.

use std::time::Duration;

use redis::{Value, cmd};
use tokio::time::timeout;

use crate::key::Prefix;
use crate::link::{Connection, Opener};
use crate::script::Gcra;
use crate::settings::RedisSettings;

/// How long connecting and two answers may take.
const LIMIT: Duration = Duration::from_secs(5);
/// Policies that remove nothing, or first what is full again soonest.
const FITTING: [&str; 2] = ["noeviction", "volatile-ttl"];

/// A server that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Version, most memory and policy.
    pub text: String,
    /// What may be intended.
    pub notes: Vec<String>,
}

/// Connects and counts; `None` without `redis.url`.
pub async fn probe(settings: &RedisSettings) -> Option<Result<Found, String>> {
    let opener = match Opener::new(settings)? {
        Ok(opener) => opener,
        Err(why) => return Some(Err(why)),
    };
    let asked = timeout(LIMIT, ask(&opener, &settings.key_prefix)).await;
    Some(match asked {
        Ok(Ok(info)) => Ok(found(info.as_deref(), settings.cluster)),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {LIMIT:?}")),
    })
}

/// The text of `INFO`, which the account may not be allowed.
async fn ask(opener: &Opener, prefix: &str) -> redis::RedisResult<Option<String>> {
    let mut connection: Connection = opener.open().await?;
    Gcra::new().probe(&mut connection, &Prefix::new(prefix, "doctor")).await?;
    let info = connection.query(&cmd("INFO")).await;
    Ok(info.ok().map(|info| text(&info)))
}

/// A cluster answers for each of its nodes.
fn text(info: &Value) -> String {
    match info {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => text.clone(),
        Value::Map(nodes) => nodes.iter().map(|(_, info)| text(info)).collect(),
        Value::Array(all) => all.iter().map(text).collect(),
        _ => String::new(),
    }
}

fn found(info: Option<&str>, is_cluster: bool) -> Found {
    let line = |name: &str| {
        let mut lines = info?.lines().filter_map(|line| line.trim().split_once(':'));
        lines.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    let version = match (line("valkey_version"), line("redis_version")) {
        (Some(version), _) => format!("Valkey {version}"),
        (None, Some(version)) => format!("Redis {version}"),
        (None, None) => "version unknown".to_owned(),
    };
    let (most, policy) = (line("maxmemory"), line("maxmemory_policy"));
    let memory = match most {
        Some("0") => "no limit of memory".to_owned(),
        Some(bytes) => format!("at most {bytes} bytes"),
        None => "limit of memory unknown".to_owned(),
    };
    let mut notes = Vec::new();
    if most == Some("0") {
        notes.push(
            "redis: maxmemory is not set; a flood of clients could fill the machine's memory".to_owned(),
        );
    }
    if let Some(policy) = policy.filter(|policy| !FITTING.contains(policy)) {
        let why =
            "counters at their limit may be removed; volatile-ttl removes those first that matter least";
        notes.push(format!("redis: maxmemory-policy is {policy}: {why}"));
    }
    if !is_cluster && line("redis_mode") == Some("cluster") {
        notes.push("redis: the server is a node of a cluster, and redis.cluster is not set".to_owned());
    }
    Found { text: format!("{version} answers; {memory}, {}", policy.unwrap_or("policy unknown")), notes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_memory_and_policy_are_said_and_what_is_unknown_is_unknown() {
        let info = "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\n# Memory\r\nmaxmemory:0\r\n\
                    maxmemory_policy:allkeys-lru\r\n";
        let one = found(Some(info), false);
        assert_eq!(one.text, "Redis 7.0.15 answers; no limit of memory, allkeys-lru");
        assert_eq!(one.notes.len(), 2, "{:?}", one.notes);
        let info = "redis_version:7.2.4\r\nvalkey_version:8.0.1\r\nredis_mode:cluster\r\nmaxmemory:1048576\r\n\
                    maxmemory_policy:volatile-ttl\r\n";
        let other = found(Some(info), true);
        assert_eq!(other.text, "Valkey 8.0.1 answers; at most 1048576 bytes, volatile-ttl");
        assert_eq!((other.notes.len(), found(Some(info), false).notes.len()), (0, 1));
        let unknown = Found {
            text: "version unknown answers; limit of memory unknown, policy unknown".to_owned(),
            notes: Vec::new(),
        };
        assert_eq!(found(None, false), unknown);
    }
}
