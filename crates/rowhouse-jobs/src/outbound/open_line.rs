//! Plain text to other machines, as settings name them. Leaves refusing it to the settings' own groups.

use std::net::IpAddr;

use reqwest::Url;

/// Whether a URL is plain HTTP to another machine than this.
#[must_use]
pub fn is_open_line(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    url.scheme() == "http" && !url.host_str().is_some_and(is_this_machine)
}

/// Whether a host's name or address, as a URL writes it, is this machine's own.
#[must_use]
pub fn is_this_machine(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    #[test]
    fn plain_http_is_for_this_machine_only() {
        for open in [
            "http://localhost.evil.example/a",
            "http://127.evil.example/a",
            "http://127.0.0.1.evil.example/a",
            "http://localhost@evil.example/a",
            "HTTP://hooks.example/a",
            "http://[2001:db8::1]/a",
        ] {
            assert!(super::is_open_line(open), "{open}");
        }
        for closed in [
            "http://localhost:3000/a",
            "http://127.0.0.2/a",
            "http://[::1]:80/a",
            "https://hooks.example/a",
            "pg-functions://postgres/public/a",
        ] {
            assert!(!super::is_open_line(closed), "{closed}");
        }
    }
}
