//! The request's body: read whole within its limit, or its first lines where it is to be taken in as it arrives.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http_body::Body as _;
use http_body_util::BodyExt;
use rowhouse_kernel::settings::RestSettings;

use crate::error::Error;
use crate::import::{self, Import};

/// What of a body is there before the request is understood.
pub(crate) struct RequestBody {
    pub(crate) body: Bytes,
    /// The rest of it, where it comes in lines.
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

/// The frames put together once, in a place that is large enough from the start where the client says how large.
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
