//! The `Prefer` header (RFC 7240).

use http::HeaderMap;

use crate::request::{Count, Handling, Missing, Prefer, Representation, Resolution, Tx};
use crate::settings::TxEnd;

/// Reads all `Prefer` headers; of a repeated preference the first counts. `tx=` is ignored unless `tx_end` allows it.
pub(crate) fn parse(headers: &HeaderMap, tx_end: TxEnd) -> Prefer {
    let mut prefer = Prefer::default();
    let values = headers.get_all(http::header::HeaderName::from_static("prefer"));
    for word in values.iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')) {
        take(&mut prefer, word.trim());
    }
    if matches!(tx_end, TxEnd::Commit | TxEnd::Rollback) {
        prefer.tx = None;
    }
    prefer
}

fn take(prefer: &mut Prefer, word: &str) {
    match word {
        "resolution=merge-duplicates" => first(&mut prefer.resolution, Resolution::Merge),
        "resolution=ignore-duplicates" => first(&mut prefer.resolution, Resolution::Ignore),
        "return=representation" => first(&mut prefer.representation, Representation::Full),
        "return=headers-only" => first(&mut prefer.representation, Representation::HeadersOnly),
        "return=minimal" => first(&mut prefer.representation, Representation::Minimal),
        "count=exact" => first(&mut prefer.count, Count::Exact),
        "count=planned" => first(&mut prefer.count, Count::Planned),
        "count=estimated" => first(&mut prefer.count, Count::Estimated),
        "missing=default" => first(&mut prefer.missing, Missing::Default),
        "missing=null" => first(&mut prefer.missing, Missing::Null),
        "handling=strict" => first(&mut prefer.handling, Handling::Strict),
        "handling=lenient" => first(&mut prefer.handling, Handling::Lenient),
        "tx=commit" => first(&mut prefer.tx, Tx::Commit),
        "tx=rollback" => first(&mut prefer.tx, Tx::Rollback),
        _ => match word.split_once('=') {
            Some(("timezone", zone)) => first(&mut prefer.time_zone, zone.to_owned()),
            Some(("max-affected", number)) => {
                if let Ok(number) = number.parse() {
                    first(&mut prefer.max_affected, number);
                }
            }
            _ => prefer.unknown.push(word.to_owned()),
        },
    }
}

fn first<T>(slot: &mut Option<T>, value: T) {
    slot.get_or_insert(value);
}
