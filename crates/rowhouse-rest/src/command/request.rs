//! A request as given on the command line.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use rowhouse_module::CannotRun;

use super::ExplainArgs;
use crate::Sample;

/// Method, path, headers and body.
pub(super) struct Request {
    pub(super) method: Method,
    path_and_query: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Request {
    pub(super) fn read(args: &ExplainArgs) -> Result<Self, CannotRun> {
        let (method, path) = args.request.split_once(' ').ok_or_else(|| {
            CannotRun::because("expected 'METHOD /path?query', for example 'GET /todos?id=eq.1'")
        })?;
        let method = method.parse().map_err(|_| CannotRun::because(format!("{method} is no HTTP method")))?;
        let mut headers = HeaderMap::new();
        for line in &args.headers {
            let bad = || CannotRun::because(format!("{line:?} is no header; expected 'Name: value'"));
            let (name, value) = line.split_once(':').ok_or_else(bad)?;
            let name: HeaderName = name.trim().parse().map_err(|_| bad())?;
            headers.append(name, HeaderValue::from_str(value.trim()).map_err(|_| bad())?);
        }
        let path_and_query = path.trim().trim_start_matches("/rest/v1").to_owned();
        let body = Bytes::from(args.body.clone().unwrap_or_default());
        Ok(Self { method, path_and_query, headers, body })
    }

    pub(super) fn sample(&self) -> Sample<'_> {
        Sample {
            method: &self.method,
            path_and_query: &self.path_and_query,
            headers: &self.headers,
            body: self.body.clone(),
        }
    }

    pub(super) fn path(&self) -> &str {
        self.path_and_query.split_once('?').map_or(&self.path_and_query, |(path, _)| path)
    }
}
