//! Bech32 (BIP 173) as age uses it for keys, without the limit of 90 characters. Leaves the meaning of the bytes to `age`.

const ALPHABET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
const CHECKSUM: usize = 6;

/// Lower case text of `bytes` behind the prefix.
pub(super) fn encode(prefix: &str, bytes: &[u8]) -> String {
    let mut words = to_words(bytes);
    let mut sum = expand(prefix);
    sum.extend_from_slice(&words);
    sum.extend_from_slice(&[0; CHECKSUM]);
    let sum = polymod(&sum) ^ 1;
    words.extend((0..CHECKSUM).map(|index| ((sum >> (5 * (CHECKSUM - 1 - index))) & 31) as u8));
    let letters = words.iter().map(|word| char::from(ALPHABET[usize::from(*word)]));
    format!("{prefix}1{}", letters.collect::<String>())
}

/// The bytes behind the prefix; none if prefix, letters or checksum are wrong. All of one case, as BIP 173 demands.
pub(super) fn decode(prefix: &str, text: &str) -> Option<Vec<u8>> {
    let lower = text.to_ascii_lowercase();
    if text != lower && text != text.to_ascii_uppercase() {
        return None;
    }
    let (found, letters) = lower.rsplit_once('1')?;
    if found != prefix || letters.len() < CHECKSUM {
        return None;
    }
    let word = |letter: u8| Some(ALPHABET.iter().position(|known| *known == letter)? as u8);
    let words: Vec<u8> = letters.bytes().map(word).collect::<Option<_>>()?;
    let mut sum = expand(prefix);
    sum.extend_from_slice(&words);
    if polymod(&sum) != 1 {
        return None;
    }
    to_bytes(&words[..words.len() - CHECKSUM])
}

fn expand(prefix: &str) -> Vec<u8> {
    let (high, low) = (prefix.bytes().map(|byte| byte >> 5), prefix.bytes().map(|byte| byte & 31));
    high.chain([0]).chain(low).collect()
}

fn polymod(words: &[u8]) -> u32 {
    words.iter().fold(1, |sum, word| {
        let top = sum >> 25;
        let shifted = ((sum & 0x1ff_ffff) << 5) ^ u32::from(*word);
        let bits = GENERATOR.iter().enumerate().filter(|(bit, _)| (top >> bit) & 1 == 1);
        bits.fold(shifted, |sum, (_, generator)| sum ^ generator)
    })
}

fn to_words(bytes: &[u8]) -> Vec<u8> {
    let bit = |index: usize| bytes.get(index / 8).map_or(0, |byte| (byte >> (7 - index % 8)) & 1);
    let words = (bytes.len() * 8).div_ceil(5);
    (0..words).map(|word| (0..5).fold(0, |value, offset| (value << 1) | bit(word * 5 + offset))).collect()
}

/// None unless the bits that are left over are fewer than a word and zero.
fn to_bytes(words: &[u8]) -> Option<Vec<u8>> {
    let bit = |index: usize| (words[index / 5] >> (4 - index % 5)) & 1;
    let (bits, bytes) = (words.len() * 5, words.len() * 5 / 8);
    let is_padding = bits - bytes * 8 < 5 && (bytes * 8..bits).all(|index| bit(index) == 0);
    is_padding.then(|| {
        (0..bytes).map(|byte| (0..8).fold(0, |value, offset| (value << 1) | bit(byte * 8 + offset))).collect()
    })
}
