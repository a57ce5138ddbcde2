//! The request's body: read whole within its limit, or only its first lines if it is an import.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http_body::Body as _;
use http_body_util::BodyExt;

use crate::error::Error;
use crate::import::{self, Import};
use crate::settings::RestSettings;

/// The part of a body that is read before the request is parsed.
pub(crate) struct RequestBody {
    pub(crate) body: Bytes,
    /// The rest of an import's body.
    pub(crate) import: Option<Import>,
}

impl RequestBody {
    pub(crate) async fn read(head: &Parts, body: Body, settings: &RestSettings) -> Result<Self, Error> {
        if import::is_import(head) {
            let import = Import::begin(body, settings).await?;
            return Ok(Self { body: import.first.array.clone(), import: Some(import) });
        }
        Ok(Self { body: whole(body, settings.max_body_bytes).await?, import: None })
    }
}

/// Collects the frames in one buffer, allocated by Content-Length if there is one.
async fn whole(mut body: Body, limit: u64) -> Result<Bytes, Error> {
    let announced = body.size_hint().lower();
    if announced > limit {
        return Err(Error::TooLarge);
    }
    let mut text = BytesMut::with_capacity(usize::try_from(announced).unwrap_or(0));
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Error::Aborted)?.into_data() else { continue };
        if (text.len() + data.len()) as u64 > limit {
            return Err(Error::TooLarge);
        }
        text.extend_from_slice(&data);
    }
    Ok(text.freeze())
}
