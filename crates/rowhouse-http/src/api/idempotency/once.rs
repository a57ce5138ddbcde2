//! Storing the answer in the transaction of its effect, so that a crash leaves both or neither.

use std::convert::Infallible;

use aide::OperationInput;
use axum::Json;
use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use rowhouse_db::Transaction;
use serde::Serialize;

use super::store::{self, Claim};
use super::{Answer, Problem, running};
use crate::api::output::Created;
use crate::api::version::Tagged;

/// Extractor: the request's claim on its `Idempotency-Key`, if it has one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Once(Option<Claim>);

impl Once {
    pub(super) fn of(claim: Claim) -> Self {
        Self(Some(claim))
    }

    /// Stores the answer in the transaction that has the effect, and returns it; without a key it stores nothing.
    ///
    /// # Errors
    /// 409 when the claim has expired and another request has the key: the transaction must roll back. Else the
    /// database's.
    pub async fn keep<A: KeptAnswer>(self, tx: &Transaction<'_>, answer: A) -> Result<A, Problem> {
        let kept = self.0.zip(answer.answer());
        if let Some((claim, kept)) = kept
            && !store::keep(tx, claim, &kept, tx.operation().now()).await?
        {
            return Err(running());
        }
        Ok(answer)
    }
}

impl<S: Sync> FromRequestParts<S> for Once {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().copied().unwrap_or_default())
    }
}

/// The header is described with every POST and PATCH.
impl OperationInput for Once {}

/// An answer that can be stored.
pub trait KeptAnswer {
    /// The stored form; `None` if it is too long.
    fn answer(&self) -> Option<Answer>;
}

fn json(status: StatusCode, etag: Option<HeaderValue>, body: &impl Serialize) -> Option<Answer> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.extend(etag.map(|etag| (header::ETAG, etag)));
    Answer::new(status, &headers, serde_json::to_vec(body).ok()?.into())
}

impl<T: Serialize> KeptAnswer for Json<T> {
    fn answer(&self) -> Option<Answer> {
        json(StatusCode::OK, None, &self.0)
    }
}

impl<T: Serialize> KeptAnswer for Created<T> {
    fn answer(&self) -> Option<Answer> {
        json(StatusCode::CREATED, None, &self.0)
    }
}

impl<T: Serialize> KeptAnswer for Tagged<T> {
    fn answer(&self) -> Option<Answer> {
        json(StatusCode::OK, self.1.header(), &self.0)
    }
}
