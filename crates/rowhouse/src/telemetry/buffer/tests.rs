use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{LineBuffer, MAX_BYTES};

/// A stopped terminal: blocks until it is released.
struct Stopped {
    release: Receiver<()>,
    out: Arc<Mutex<Vec<u8>>>,
}

impl Write for Stopped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Does not block once the other end is dropped.
        let _let_go = self.release.recv();
        self.out.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn stopped() -> (LineBuffer, Sender<()>, Arc<Mutex<Vec<u8>>>) {
    let (let_go, release) = channel();
    let out = Arc::default();
    (LineBuffer::writing_to(Stopped { release, out: Arc::clone(&out) }), let_go, out)
}

#[test]
fn stopped_terminal_blocks_no_request_and_memory_stays_bounded() {
    let (buffer, let_go, out) = stopped();
    let (writer, (done, ended)) = (buffer.clone(), channel());
    std::thread::spawn(move || {
        let line = [b'x'; 1024];
        for _ in 0..3 * MAX_BYTES / line.len() {
            writer.clone().write_all(&line).unwrap();
        }
        writer.drain();
        done.send(()).unwrap();
    });
    ended.recv_timeout(Duration::from_secs(60)).expect("nobody waits for the terminal");
    assert!(buffer.lines().bytes.len() <= MAX_BYTES);
    drop(let_go);
    buffer.drain();
    buffer.clone().write_all(b"after\n").unwrap();
    buffer.drain();
    let written = String::from_utf8(out.lock().unwrap().clone()).unwrap();
    assert!(written.ends_with("after\n") && written.contains("log lines were dropped"));
}

#[test]
fn lines_come_out_in_order() {
    let (buffer, let_go, out) = stopped();
    drop(let_go);
    for n in 0..100 {
        writeln!(buffer.clone(), "{n}").unwrap();
    }
    buffer.drain();
    let expected: String = (0..100).map(|n| format!("{n}\n")).collect();
    assert_eq!(String::from_utf8(out.lock().unwrap().clone()).unwrap(), expected);
}
