use data_encoding::BASE64;
use rowhouse_kernel::SeededRng;

use super::{AgeError, Identity, Recipient, open, seal};

const KEY: &str = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";
const PUBLIC: &str = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";
/// Sealed for another recipient and for KEY by the Rust implementation of age 0.12.1, with a stanza of an unknown kind.
const FILE: &str = "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSBUNU82L2R5bGFZTGxiTndPNHV3TW5EUkdLK1I3UmZ0aENXUXhuMERvNDFnCk1CWENFdm5PTndZR2s5TEMxbjN4c1BUNmdOSG41bUtZY00zNDBzWXFMb2cKLT4gWDI1NTE5IGRpbEhjZ2lmaGwyaHROczN5blgxems5QkZ3cTllb0xJR2NRNEJOdFZRMjAKZ0lkeGhzaDZkdG42WlRVYVFuQm1JQmc2elBOclh6c2gzcU9LejBtWmtwTQotPiAuNn1MLWdyZWFzZQpVNy9SVVVxTkIxMGlVSk4yN2tjdlljZ1lKcnhMZCtpbitsUHFKNEZWCi0tLSBnKy9OaDRkRHpac1lDTlZVQ3FmczVJN25vWUh6Tzl2K01hOG9Pb3IyN3c4CoY6u6++W7v6oZSRK2mECJIt+FbsbShTlB0HSmJ9XEFN+B17iH737dQfYPYFmpW1f9pzCjYW5T+vctKiNGE/+VB/";

fn identity() -> Identity {
    Identity::parse(KEY).expect("a key")
}

#[test]
fn keys_are_read_and_written_as_age_does() {
    let identity = Identity::parse(&format!("# created: today\n\n{KEY}\n")).expect("a key file");
    assert_eq!((identity.expose().as_str(), identity.recipient().to_string().as_str()), (KEY, PUBLIC));
    assert_eq!(Recipient::parse(PUBLIC), Some(identity.recipient()));
    let wrong = PUBLIC.replace("zvky", "zvkz");
    let mixed = PUBLIC.replace("age1z", "age1Z");
    for text in ["", "age1", &wrong, &mixed, KEY, &PUBLIC[..40]] {
        assert_eq!(Recipient::parse(text), None, "{text}");
    }
    assert!(Identity::parse(PUBLIC).is_none());
}

#[test]
fn file_of_the_reference_opens() {
    let file = BASE64.decode(FILE.as_bytes()).expect("base64");
    let plain = open(&file, &identity()).expect("it opens");
    assert_eq!(plain.as_slice(), b"a key of thirty-two bytes, yes: !");
}

#[test]
fn every_recipient_opens_and_nobody_else() {
    let rng = SeededRng::new(1);
    let made: Vec<Identity> = (0..3).filter_map(|_| Identity::generate(&*rng)).collect();
    let file = seal(b"secret", &[made[0].recipient(), made[1].recipient()], &*rng).expect("sealed");
    for identity in &made[..2] {
        assert_eq!(open(&file, identity).map(|plain| plain.to_vec()), Ok(b"secret".to_vec()));
    }
    assert_eq!(open(&file, &made[2]).err(), Some(AgeError::NotForThis));
}

#[test]
fn no_changed_byte_opens() {
    let rng = SeededRng::new(2);
    let file = seal(b"secret", &[identity().recipient()], &*rng).expect("sealed");
    for index in 0..file.len() {
        let mut changed = file.clone();
        changed[index] ^= 1;
        assert!(open(&changed, &identity()).is_err(), "byte {index}");
        assert!(open(&file[..index], &identity()).is_err(), "cut at {index}");
    }
}
