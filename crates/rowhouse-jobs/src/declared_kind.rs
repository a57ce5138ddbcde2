//! Handlers of the kinds that `rowhouse.toml` declares. Leaves the work to the handlers.

use rowhouse_kernel::SharedClock;

use crate::http_handler::HttpHandler;
use crate::outbound::Outbound;
use crate::settings::{JobsSettings, KindHandler, KindSettings};
use crate::sql_handler::SqlHandler;
use crate::{JobKind, Registry};

/// Adds the kinds that the file declares. Returns a mistake for each name of a built-in kind.
pub fn add_kinds(
    registry: &mut Registry,
    settings: &JobsSettings,
    outbound: &Outbound,
    functions: &SqlHandler,
    clock: &SharedClock,
) -> Vec<String> {
    let mut mistakes = Vec::new();
    for (name, declared) in settings.kinds.iter() {
        if registry.get(name).is_some() {
            mistakes.push(format!("jobs.kinds.\"{name}\": the program itself runs jobs of this kind"));
            continue;
        }
        let kind = kind(name, declared);
        match (declared.handler, declared.secret.clone()) {
            (KindHandler::Sql, _) => registry.add(kind, functions.calling(&declared.function)),
            (KindHandler::Http, Some(secret)) => {
                let url = declared.url.clone();
                registry.add(kind, HttpHandler::new(outbound.clone(), url, secret, clock.clone()));
            }
            // the settings check refuses this
            (KindHandler::Http, None) => {}
        }
    }
    mistakes
}

/// The kinds that the file declares.
pub fn kinds(settings: &JobsSettings) -> Vec<JobKind> {
    settings.kinds.iter().map(|(name, declared)| kind(name, declared)).collect()
}

/// A kind as the file declares it.
fn kind(name: &str, declared: &KindSettings) -> JobKind {
    JobKind {
        max_attempts: declared.max_attempts,
        timeout: declared.timeout,
        backoff: declared.backoff,
        growth: declared.growth,
        max_backoff: declared.max_backoff,
        min_release: declared.min_release.clone(),
        concurrency: declared.concurrency.map(usize::from),
        ..JobKind::new(name)
    }
}
