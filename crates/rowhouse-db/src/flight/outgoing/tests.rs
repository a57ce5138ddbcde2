use bytes::{Bytes, BytesMut};
use postgres_protocol::IsNull;
use postgres_protocol::message::frontend;

use super::{LARGE, Outgoing};

fn written(outgoing: &Outgoing) -> Vec<u8> {
    outgoing.parts.iter().chain(std::iter::once(&outgoing.tail.clone().freeze())).flatten().copied().collect()
}

#[test]
fn bind_is_written_as_the_protocol_library_writes_it() {
    let large = Bytes::from(vec![b'x'; LARGE]);
    let params = [Some(Bytes::from_static(b"one")), None, Some(large), Some(Bytes::new())];
    let mut ours = Outgoing::new();
    ours.bind("s1", &params).unwrap();
    ours.execute().unwrap();
    ours.sync();
    let mut theirs = BytesMut::new();
    let write = |param: &Option<Bytes>, out: &mut BytesMut| {
        Ok(param.as_ref().map_or(IsNull::Yes, |bytes| {
            out.extend_from_slice(bytes);
            IsNull::No
        }))
    };
    frontend::bind("", "s1", [], &params, write, [], &mut theirs).ok().unwrap();
    frontend::execute("", 0, &mut theirs).unwrap();
    frontend::sync(&mut theirs);
    assert_eq!(written(&ours), theirs);
}

#[test]
fn large_value_is_not_copied() {
    let large = Bytes::from(vec![b'x'; LARGE]);
    let mut outgoing = Outgoing::new();
    outgoing.bind("s1", &[Some(large.clone())]).unwrap();
    assert!(outgoing.parts.iter().any(|part| part.as_ptr() == large.as_ptr()));
}

#[test]
fn more_values_than_the_protocol_counts_are_refused() {
    let params = vec![None; 70_000];
    assert!(Outgoing::new().bind("s1", &params).is_err());
}
