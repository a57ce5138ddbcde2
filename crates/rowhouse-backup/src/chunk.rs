//! How bytes become chunks and come back: compressed, then sealed in their place. Leaves reading and writing them to `store`.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce};

use crate::error::StoreError;

/// zstd's fastest ordinary level: more would make backups slower than the disk that they read.
const LEVEL: i32 = 1;

/// Where a chunk belongs. All of it is authenticated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    /// The backup, or `wal`.
    pub(crate) owner: &'a str,
    /// The object's name.
    pub(crate) object: &'a str,
    /// The object's number within its owner; with `index` the nonce, which a key must never see twice.
    pub(crate) number: u32,
    /// The chunk's number.
    pub(crate) index: u64,
    /// Whether none follows.
    pub(crate) is_last: bool,
}

impl Place<'_> {
    fn nonce(&self) -> Nonce {
        let mut nonce = [0; NONCE_LEN];
        nonce[..4].copy_from_slice(&self.number.to_be_bytes());
        nonce[4..].copy_from_slice(&self.index.to_be_bytes());
        Nonce::assume_unique_for_key(nonce)
    }

    fn aad(&self) -> Aad<Vec<u8>> {
        let (owner, object) = (self.owner.as_bytes(), self.object.as_bytes());
        let (number, index) = (self.number.to_be_bytes(), self.index.to_be_bytes());
        let last = [u8::from(self.is_last)];
        Aad::from([owner, b"\0", object, b"\0", &number[..], &index[..], &last[..]].concat())
    }
}

/// The most bytes that a chunk of so many has in the store.
pub(crate) fn most_sealed(limit: usize) -> u64 {
    (zstd::zstd_safe::compress_bound(limit) + AES_256_GCM.tag_len()) as u64
}

/// Compresses and seals.
pub(crate) fn seal(plain: &[u8], place: &Place<'_>, key: &LessSafeKey) -> Result<Vec<u8>, StoreError> {
    let mut body =
        zstd::bulk::compress(plain, LEVEL).map_err(|_| StoreError::Internal("zstd refused to work"))?;
    let sealed = key.seal_in_place_append_tag(place.nonce(), place.aad(), &mut body);
    sealed.map(|()| body).map_err(|_| StoreError::Internal("the crypto library refused to work"))
}

/// Opens and decompresses; what went wrong otherwise. `limit` is the most that the chunk can hold.
pub(crate) fn open(
    sealed: &[u8],
    place: &Place<'_>,
    key: &LessSafeKey,
    limit: usize,
) -> Result<Vec<u8>, &'static str> {
    let mut body = sealed.to_vec();
    let compressed = key
        .open_in_place(place.nonce(), place.aad(), &mut body)
        .map_err(|_| "it is not what was written here")?;
    let bytes = zstd::zstd_safe::get_frame_content_size(compressed).ok().flatten();
    let bytes = bytes.and_then(|bytes| usize::try_from(bytes).ok()).filter(|bytes| *bytes <= limit);
    let bytes = bytes.ok_or("it holds more than it can")?;
    zstd::bulk::decompress(compressed, bytes).map_err(|_| "it does not decompress")
}
