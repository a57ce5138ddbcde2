//! Imports: an `application/x-ndjson` body is inserted into a table while it arrives, in one transaction.

mod rate;

use std::time::Duration;

use axum::body::Body;
use bytes::BytesMut;
use http::Method;
use http::request::Parts;
use http_body_util::BodyExt;
use rate::Rate;
use tokio::time::{Instant, timeout};

use crate::error::Error;
use crate::parse::{self, Batch};
use crate::plan::{PlanError, WritePlan};
use crate::request::{ApiRequest, Media, Payload, Representation};
use crate::respond::ResultSet;
use crate::run::Task;
use crate::settings::RestSettings;
use crate::sql;

/// Approximate bytes of a batch: large enough to make round trips negligible, small enough to buffer a few.
const BATCH: usize = 256 * 1024;

/// Whether a request is an import.
pub(crate) fn is_import(head: &Parts) -> bool {
    let media = || parse::header(&head.headers, "content-type").map(parse::media);
    head.method == Method::POST && !head.uri.path().starts_with("/rpc/") && media() == Some(Media::Ndjson)
}

/// An import whose first lines have arrived.
pub(crate) struct Import {
    pub(crate) first: Batch,
    rest: Lines,
}

impl Import {
    /// Reads the first lines. A body without any is an import of no rows.
    pub(crate) async fn begin(body: Body, settings: &RestSettings) -> Result<Self, Error> {
        let mut rest = Lines::new(body, settings);
        let first = rest.batch().await?.unwrap_or_else(|| Batch::of(b"", 1));
        Ok(Self { first, rest })
    }
}

/// A body, read in whole lines.
struct Lines {
    body: Body,
    /// Read and not yet returned.
    text: BytesMut,
    next_line: usize,
    taken: u64,
    ended: bool,
    stall: Duration,
    rate: Rate,
    max_bytes: u64,
    max_line: usize,
}

impl Lines {
    fn new(body: Body, settings: &RestSettings) -> Self {
        Self {
            body,
            text: BytesMut::new(),
            next_line: 1,
            taken: 0,
            ended: false,
            stall: settings.stall_timeout,
            rate: Rate::new(settings.import_min_rate),
            max_bytes: settings.max_import_bytes,
            max_line: usize::try_from(settings.max_body_bytes).unwrap_or(usize::MAX),
        }
    }

    /// The next lines; `None` after the last.
    async fn batch(&mut self) -> Result<Option<Batch>, Error> {
        let end = loop {
            let complete = if self.text.len() >= BATCH { memchr::memrchr(b'\n', &self.text) } else { None };
            match complete {
                Some(at) => break at + 1,
                None if self.ended => break self.text.len(),
                None if self.text.len() > self.max_line => return Err(Error::TooLarge),
                None => self.read().await?,
            }
        };
        if end == 0 {
            return Ok(None);
        }
        let batch = Batch::of(&self.text.split_to(end), self.next_line);
        self.next_line = batch.last + 1;
        Ok(Some(batch))
    }

    async fn read(&mut self) -> Result<(), Error> {
        let since = Instant::now();
        let frame = timeout(self.stall, self.body.frame()).await.map_err(|_| Error::Aborted)?;
        let data = match frame {
            None => {
                self.ended = true;
                return Ok(());
            }
            Some(Err(_)) => return Err(Error::Aborted),
            Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
        };
        self.rate.count(since.elapsed(), data.len()).map_err(|_| Error::Slow)?;
        self.taken += data.len() as u64;
        self.text.extend_from_slice(&data);
        if self.taken > self.max_bytes { Err(Error::TooLarge) } else { Ok(()) }
    }
}

/// Refuses what an import cannot do: its rows are not kept until the end.
fn check(request: &ApiRequest, plan: &WritePlan<'_>) -> Result<(), Error> {
    let shows = request.prefer.representation == Some(Representation::Full);
    if shows || plan.format.is_singular() || plan.format.explain.is_some() {
        let text = "An application/x-ndjson body cannot be answered with the rows; use return=minimal.";
        return Err(Error::Plan(PlanError::NotImplemented(text)));
    }
    Ok(())
}

/// Runs an insert batch by batch; the plan was made with the first.
///
/// # Errors
/// What the body or the database does not allow, with the lines that it concerns; nothing is written then.
pub(crate) async fn run(
    task: Task<'_>,
    plan: &WritePlan<'_>,
    Import { first, rest: mut lines }: Import,
) -> Result<ResultSet, Error> {
    check(task.request, plan)?;
    let database = |error| Error::Database(error, task.is_signed_in());
    let failed = |error, batch: &Batch| Error::Import(Box::new(database(error)), batch.first, batch.last);
    let keys = match &task.request.payload {
        Some(Payload::Json { keys, .. }) if !task.request.names_columns => Some(keys.as_slice()),
        _ => None,
    };
    parse::check_lines(&first, keys, task.settings)?;
    require_room(plan, &first)?;
    let query = sql::write_batch(plan, first.array.clone());
    let mut import =
        task.database.import(task.context, &query).await.map_err(|error| failed(error, &first))?;
    let mut sent = first;
    while let Some(batch) = lines.batch().await? {
        parse::check_lines(&batch, keys, task.settings)?;
        require_room(plan, &batch)?;
        import.answered().await.map_err(|error| failed(error, &sent))?;
        let query = sql::write_batch(plan, batch.array.clone());
        import.batch(&query).await.map_err(|error| failed(error, &batch))?;
        sent = batch;
    }
    import.answered().await.map_err(|error| failed(error, &sent))?;
    import.finish().await.map(ResultSet::of_batches).map_err(database)
}

/// Enforces row limits over the whole import, since the statement's own guard sees one batch only.
fn require_room(plan: &WritePlan<'_>, batch: &Batch) -> Result<(), Error> {
    let last = i64::try_from(batch.last).unwrap_or(i64::MAX);
    let most = plan.bounds.and_then(|bounds| bounds.high);
    if most.is_some_and(|most| last > most) { Err(Error::MaxAffected(last)) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
