//! The metrics registry: OpenTelemetry's HTTP names, and at scrape time the alias names that existing dashboards use.

mod alias;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use http::{Method, StatusCode};
use metrics::Histogram;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::task::Heartbeat;

/// Bucket bounds in seconds that the OpenTelemetry HTTP conventions advise.
const BOUNDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// 30,000 requests a second collect 4 MB of samples in this time.
const FOLD_INTERVAL: Duration = Duration::from_secs(5);
/// Distinct (method, route, status) kept; routes are templates, so ordinary traffic never reaches this.
const MAX_SERIES: usize = 2048;

type Series = (&'static str, Box<str>, u16);

/// The registry. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
    requests: Arc<RwLock<HashMap<Series, Histogram>>>,
}

impl Metrics {
    /// Installs the process-wide recorder; later calls (tests start many servers) return the first.
    ///
    /// # Errors
    /// If another recorder is installed already.
    pub fn install() -> Result<Self, String> {
        static INSTALLED: std::sync::OnceLock<Result<PrometheusHandle, String>> = std::sync::OnceLock::new();
        let handle = INSTALLED.get_or_init(|| {
            let builder = PrometheusBuilder::new();
            let builder = builder.set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), BOUNDS);
            builder.and_then(PrometheusBuilder::install_recorder).map_err(|error| error.to_string())
        });
        Ok(Self { handle: handle.clone()?, requests: Arc::default() })
    }

    /// Counts one answered request. `route` is a template, never a path.
    pub fn record(&self, method: &Method, route: &str, status: StatusCode, took: Duration) {
        self.histogram(method, route, status).record(took);
    }

    fn histogram(&self, method: &Method, route: &str, status: StatusCode) -> Histogram {
        // Never the raw method, whose length the client chooses.
        let series = (known_method(method), Box::from(route), status.as_u16());
        if let Some(known) = self.requests.read().unwrap_or_else(PoisonError::into_inner).get(&series) {
            return known.clone();
        }
        let histogram = metrics::histogram!(
            "http_server_request_duration_seconds",
            "http_request_method" => known_method(method),
            "http_route" => route.to_owned(),
            "http_response_status_code" => status.as_str().to_owned(),
            "url_scheme" => "http",
        );
        let mut requests = self.requests.write().unwrap_or_else(PoisonError::into_inner);
        if requests.len() < MAX_SERIES {
            requests.insert(series, histogram.clone());
        }
        histogram
    }

    /// Periodically folds samples into histogram buckets. Until then samples are kept one by one, so without this
    /// memory would grow with every request that is not scraped.
    pub async fn fold(self, heartbeat: Heartbeat) {
        loop {
            heartbeat.sleep(FOLD_INTERVAL).await;
            self.handle.run_upkeep();
        }
    }

    /// The exposition text, aliases included.
    #[must_use]
    pub fn render(&self) -> String {
        self.handle.run_upkeep();
        let mut text = self.handle.render();
        alias::append(&mut text);
        text
    }
}

/// Bounds the label's values: clients may invent methods (OpenTelemetry: `_OTHER`).
pub(crate) fn known_method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ if method.as_str() == "QUERY" => "QUERY",
        _ => "_OTHER",
    }
}

#[cfg(test)]
mod tests;
