//! A name server on loopback, which says whatever a test tells it to (RFC 1035 section 4).

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};

const TYPES: [(&str, u16); 3] = [("A", 1), ("CNAME", 5), ("TXT", 16)];
const NO_ERROR: u8 = 0;
const SERVER_FAILURE: u8 = 2;
const NO_SUCH_NAME: u8 = 3;

#[derive(Debug, Default)]
struct Zone {
    records: BTreeMap<(String, u16), Vec<String>>,
    is_failing: bool,
}

/// Answers until the process ends.
#[derive(Debug, Clone)]
pub struct NameServer {
    /// Where it listens.
    pub address: SocketAddr,
    zone: Arc<Mutex<Zone>>,
}

impl NameServer {
    /// One that knows no name.
    ///
    /// # Panics
    /// If there is no port.
    #[must_use]
    pub fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let server = Self { address: socket.local_addr().expect("an address"), zone: Arc::default() };
        let answering = server.clone();
        std::thread::spawn(move || {
            let mut query = [0; 1500];
            while let Ok((len, peer)) = socket.recv_from(&mut query) {
                let _gone = socket.send_to(&answering.answer(&query[..len]), peer);
            }
        });
        server
    }

    /// Sets the records of a name, of kind `A`, `CNAME` or `TXT`; none removes them.
    ///
    /// # Panics
    /// If it knows no such kind.
    pub fn set(&self, name: &str, kind: &str, values: &[&str]) {
        let (_, code) = TYPES.into_iter().find(|(known, _)| *known == kind).expect("a kind of records");
        let mut zone = self.zone.lock().unwrap_or_else(PoisonError::into_inner);
        let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        zone.records.retain(|key, _| *key != (name.to_owned(), code));
        if !values.is_empty() {
            zone.records.insert((name.to_owned(), code), values);
        }
    }

    /// Whether it fails from now on.
    pub fn fail(&self, is_failing: bool) {
        self.zone.lock().unwrap_or_else(PoisonError::into_inner).is_failing = is_failing;
    }

    fn answer(&self, query: &[u8]) -> Vec<u8> {
        let (name, end) = name_at(query, 12);
        let kind = u16::from_be_bytes([query[end], query[end + 1]]);
        let zone = self.zone.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = zone.records.keys().any(|(known, _)| *known == name);
        let values = zone.records.get(&(name, kind)).cloned().unwrap_or_default();
        let code = match (zone.is_failing, is_known) {
            (true, _) => SERVER_FAILURE,
            (false, true) => NO_ERROR,
            (false, false) => NO_SUCH_NAME,
        };
        let values = if zone.is_failing { Vec::new() } else { values };
        let count = u8::try_from(values.len()).unwrap_or(u8::MAX);
        let mut message = vec![query[0], query[1], 0x84, code, 0, 1, 0, count, 0, 0, 0, 0];
        message.extend_from_slice(&query[12..end + 4]);
        values.iter().for_each(|value| message.extend(record(kind, value)));
        message
    }
}

/// The name in lower case, and where it ends.
fn name_at(query: &[u8], mut at: usize) -> (String, usize) {
    let mut labels = Vec::new();
    while query[at] != 0 {
        let len = usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..at + 1 + len]).to_lowercase());
        at += len + 1;
    }
    (labels.join("."), at + 1)
}

/// A record of the name that was asked for.
fn record(kind: u16, value: &str) -> Vec<u8> {
    let label = |text: &str| {
        let len = u8::try_from(text.len()).unwrap_or(u8::MAX);
        [&[len], text.as_bytes()].concat()
    };
    let data: Vec<u8> = match kind {
        1 => value.parse::<Ipv4Addr>().map(|ip| ip.octets().to_vec()).unwrap_or_default(),
        5 => value.split('.').flat_map(label).chain([0]).collect(),
        _ => label(value),
    };
    let [high, low] = kind.to_be_bytes();
    let len = u16::try_from(data.len()).unwrap_or(u16::MAX).to_be_bytes();
    [&[0xc0, 12, high, low, 0, 1, 0, 0, 0, 0], &len[..], &data].concat()
}
