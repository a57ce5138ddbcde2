use reqwest::header::{HeaderMap, RETRY_AFTER};
use std::time::Duration;
use time::macros::datetime;

use super::{Outbound, SendError, is_public, retry_after};

#[test]
fn addresses_of_this_machine_and_of_private_networks_are_not_public() {
    for ip in [
        "127.0.0.1",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "192.0.0.8",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
        "192.0.2.1",
        "::1",
        "::",
        "fe80::1",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::127.0.0.1",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2001::1",
        "2001:db8::1",
        "3fff::1",
        "5f00::1",
    ] {
        assert!(!is_public(ip.parse().unwrap()), "{ip}");
    }
    for ip in [
        "1.1.1.1",
        "100.128.0.1",
        "172.32.0.1",
        "198.20.0.1",
        "2606:4700::1111",
        "::ffff:1.1.1.1",
        "64:ff9b::1.1.1.1",
    ] {
        assert!(is_public(ip.parse().unwrap()), "{ip}");
    }
}

#[test]
fn address_in_a_url_is_refused_in_every_spelling() {
    let outbound = Outbound::new(false).unwrap();
    for url in [
        "http://127.0.0.1/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
        "http://127.1:80/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.1",
    ] {
        assert!(matches!(outbound.check(url), Err(SendError::Address(_))), "{url}");
        assert!(Outbound::new(true).unwrap().check(url).is_ok(), "{url}");
    }
    assert!(outbound.check("https://hooks.example/x").is_ok());
}

#[test]
fn retry_after_is_parsed_as_seconds_or_date_and_bounded() {
    let now = datetime!(2026-05-04 12:00 UTC);
    let read = |text: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, text.parse().unwrap());
        retry_after(&headers, now)
    };
    assert_eq!(read("120"), Some(Duration::from_secs(120)));
    assert_eq!(read("Mon, 04 May 2026 12:01:30 GMT"), Some(Duration::from_secs(90)));
    assert_eq!(read("Mon, 04 May 2026 11:00:00 GMT"), Some(Duration::ZERO));
    assert_eq!(read("999999999999"), Some(Duration::from_secs(86_400)));
    assert_eq!(read("soon"), None);
    assert_eq!(read("-1"), None);
}
