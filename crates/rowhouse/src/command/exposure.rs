//! Warns at start about tables that the data API exposes.

use rowhouse_kernel::settings::Settings;
use rowhouse_rest::RestSettings;
use tokio_postgres::Client;

/// Most warnings; `doctor` lists all.
const MAX_WARNINGS: usize = 10;

/// Warns of each table that callers can use without row-level security.
pub(super) async fn warn(client: &Client, settings: &Settings) {
    let rest = settings.get::<RestSettings>();
    let exposures = match rowhouse_ops::exposures(client, &rest.schemas, rest.default_grants).await {
        Ok(exposures) => exposures,
        Err(error) => return tracing::warn!(%error, "what the data API leaves open cannot be found out"),
    };
    for exposure in exposures.iter().take(MAX_WARNINGS) {
        tracing::warn!("{exposure}");
    }
    if exposures.len() > MAX_WARNINGS {
        tracing::warn!("and {} more; run: rowhouse doctor", exposures.len() - MAX_WARNINGS);
    }
}
