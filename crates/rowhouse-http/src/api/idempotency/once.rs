//! Storing the answer in the transaction of its effect, so that a crash leaves both or neither.

use std::sync::atomic::Ordering;

use aide::OperationInput;
use axum::Json;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use rowhouse_db::Transaction;
use serde::Serialize;

use super::store::{self, Claim};
use super::{Pending, Problem, StoredResponse, replay, running};
use crate::api::output::Created;
use crate::api::version::Tagged;

/// Extractor: the request's claim on its `Idempotency-Key`, if it has one. Comes after the extractors that authorize the
/// caller; a request that was answered before ends here with that answer.
#[derive(Debug, Clone, Copy)]
pub struct Once(Option<Claim>);

impl Once {
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
    type Rejection = Replay;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Replay> {
        match parts.extensions.get() {
            None => Ok(Self(None)),
            Some(Pending::Claimed(claim, authorized)) => {
                authorized.store(true, Ordering::Relaxed);
                Ok(Self(Some(*claim)))
            }
            Some(Pending::Answered(answer)) => Err(Replay(answer.clone())),
        }
    }
}

/// The stored answer of a request that is repeated.
#[derive(Debug)]
pub struct Replay(StoredResponse);

impl IntoResponse for Replay {
    fn into_response(self) -> Response {
        replay(self.0)
    }
}

/// The header is described with every POST and PATCH.
impl OperationInput for Once {}

/// An answer that can be stored.
pub trait KeptAnswer {
    /// The stored form; `None` if it is too long.
    fn answer(&self) -> Option<StoredResponse>;
}

fn json(status: StatusCode, etag: Option<HeaderValue>, body: &impl Serialize) -> Option<StoredResponse> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.extend(etag.map(|etag| (header::ETAG, etag)));
    StoredResponse::new(status, &headers, serde_json::to_vec(body).ok()?.into())
}

impl<T: Serialize> KeptAnswer for Json<T> {
    fn answer(&self) -> Option<StoredResponse> {
        json(StatusCode::OK, None, &self.0)
    }
}

impl<T: Serialize> KeptAnswer for Created<T> {
    fn answer(&self) -> Option<StoredResponse> {
        json(StatusCode::CREATED, None, &self.0)
    }
}

impl<T: Serialize> KeptAnswer for Tagged<T> {
    fn answer(&self) -> Option<StoredResponse> {
        json(StatusCode::OK, self.1.header(), &self.0)
    }
}
