//! Kinds that `rowhouse.toml` declares: which handler each gets. What the handlers do is theirs.

use rowhouse_kernel::SharedClock;
use rowhouse_kernel::settings::{JobsSettings, KindHandler};

use crate::http_handler::HttpHandler;
use crate::outbound::Outbound;
use crate::registry::{Kind, Registry};
use crate::sql_handler::SqlHandler;

/// Adds the kinds that the file declares. Returns a mistake for each name that the program itself uses.
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
        let kind = Kind::declared(name, declared);
        match (declared.handler, declared.secret.clone()) {
            (KindHandler::Sql, _) => registry.add(kind, functions.calling(&declared.function)),
            (KindHandler::Http, Some(secret)) => {
                let url = declared.url.clone();
                registry.add(kind, HttpHandler::new(outbound.clone(), url, secret, clock.clone()));
            }
            // the settings were refused for it
            (KindHandler::Http, None) => {}
        }
    }
    mistakes
}
