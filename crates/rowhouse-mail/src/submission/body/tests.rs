use super::{Body, BodyFault};
use crate::submission::memory::MemoryBudget;

/// Fed in pieces of every size, the result is the same.
fn read(input: &[u8]) -> (usize, Result<Vec<u8>, BodyFault>) {
    let results: Vec<_> = [1, 2, 3, 7, 64, input.len().max(1)].map(|size| read_in(input, size)).into();
    assert!(results.windows(2).all(|pair| pair[0] == pair[1]), "{results:?}");
    results[0].clone()
}

fn read_in(input: &[u8], size: usize) -> (usize, Result<Vec<u8>, BodyFault>) {
    let mut body = Body::new(5000, MemoryBudget::new(1 << 20).reserve());
    let mut taken = 0;
    for chunk in input.chunks(size) {
        let (used, is_complete) = body.feed(chunk);
        taken += used;
        if is_complete {
            return (taken, body.finish().map(|(bytes, _)| bytes));
        }
    }
    panic!("no end in {input:?}")
}

#[test]
fn message_ends_at_a_single_dot_and_stuffed_dots_are_removed() {
    let input = b"Subject: x\r\n\r\n..dot\r\n.\xc3\xbc\r\n\r\n.\r\nQUIT\r\n";
    assert_eq!(read(input), (input.len() - 6, Ok(b"Subject: x\r\n\r\n.dot\r\n\xc3\xbc\r\n\r\n".to_vec())));
    assert_eq!(read(b".\r\n"), (3, Ok(Vec::new())));
}

#[test]
fn bare_line_break_neither_ends_the_message_nor_passes() {
    for smuggled in [
        &b"a\n.\nMAIL FROM:<x@y.example>\r\n.\r\n"[..],
        b"a\n.\r\nMAIL FROM:<x@y.example>\r\n.\r\n",
        b"a\r\n.\nMAIL FROM:<x@y.example>\r\n.\r\n",
        b"a\r\n.\rMAIL FROM:<x@y.example>\r\n.\r\n",
        b"a\r.\r\nMAIL FROM:<x@y.example>\r\n.\r\n",
        b"a\r.\rMAIL FROM:<x@y.example>\r\n.\r\n",
        b"\r\r\n.\r\n",
    ] {
        assert_eq!(
            read(smuggled),
            (smuggled.len(), Err(BodyFault::BareLineBreak)),
            "{}",
            smuggled.escape_ascii()
        );
    }
}

#[test]
fn message_with_long_lines_excess_size_or_nul_is_read_to_its_end_and_refused() {
    let line = |length: usize| [vec![b'x'; length], b"\r\n.\r\n".to_vec()].concat();
    assert_eq!(read(&line(998)).1.unwrap().len(), 1000);
    assert_eq!(read(&line(999)).1, Err(BodyFault::LongLine));
    let dotted = [b".".to_vec(), line(998)].concat();
    assert_eq!(read(&dotted).1.unwrap().len(), 1000);
    assert_eq!(read(b"a\0b\r\n.\r\n").1, Err(BodyFault::Nul));
    let exact = [b"0123456\r\n".repeat(555), b"012\r\n.\r\n".to_vec()].concat();
    assert_eq!(read(&exact).1.unwrap().len(), 5000);
    let beyond = [b"0123456\r\n".repeat(555), b"0123\r\n.\r\n".to_vec()].concat();
    assert_eq!(read(&beyond), (beyond.len(), Err(BodyFault::TooLarge)));
}

#[test]
fn shared_memory_is_bounded_and_released() {
    let memory = MemoryBudget::new(64 * 1024);
    let mut first = memory.reserve();
    assert!(first.grow(60 * 1024) && first.grow(64 * 1024));
    let mut second = memory.reserve();
    assert!(!second.grow(1));
    drop(first);
    assert!(second.grow(1));
}
