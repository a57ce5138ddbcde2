//! The kinds of second factors, and what an authenticator app needs to know of one: URI and QR code.

use qrcodegen::{QrCode, QrCodeEcc};
use url::Url;

use crate::method::Method;

/// The kind of a factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FactorType {
    Totp,
    Phone,
    WebAuthn,
}

impl FactorType {
    /// GoTrue's name, and PostgreSQL's in `auth.factor_type`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Totp => "totp",
            Self::Phone => "phone",
            Self::WebAuthn => "webauthn",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::Totp, Self::Phone, Self::WebAuthn].into_iter().find(|kind| kind.as_str() == name)
    }

    /// What a session is authenticated by once such a factor was verified.
    pub(crate) fn method(self) -> Method {
        match self {
            Self::Totp => Method::Totp,
            Self::Phone => Method::MfaPhone,
            Self::WebAuthn => Method::MfaWebauthn,
        }
    }
}

/// The URI that authenticator apps read from a QR code: `otpauth://totp/ISSUER:ACCOUNT?secret=…`.
pub(crate) fn otpauth_uri(issuer: &str, account: &str, secret: &str) -> String {
    // A colon separates issuer and account (Google's key URI format), so neither may contain one.
    let plain = |text: &str| escape(&text.replace(':', " "));
    let (issuer, account) = (plain(issuer), plain(account));
    format!(
        "otpauth://totp/{issuer}:{account}?algorithm=SHA1&digits=6&issuer={issuer}&period=30&secret={secret}"
    )
}

/// Percent-encodes everything but letters, digits and `-._~`: apps read neither `+` nor unescaped spaces.
fn escape(text: &str) -> String {
    let encoded: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
    encoded.replace('+', "%20")
}

/// The issuer's name unless the client gives one: the site's host.
pub(crate) fn host(site: &str) -> String {
    let host = Url::parse(site).ok().and_then(|url| url.host_str().map(str::to_owned));
    host.unwrap_or_else(|| "Rowhouse".to_owned())
}

/// Pixels per module, and modules around the code (ISO 18004 asks for four).
const SCALE: i32 = 4;
const BORDER: i32 = 4;

/// The text's QR code as an SVG; `None` if it is too long for one.
///
/// Clients put the SVG behind `data:image/svg+xml;utf-8,` as it is, so it has neither `#` nor `%`.
pub(crate) fn qr_svg(text: &str) -> Option<String> {
    let code = QrCode::encode_text(text, QrCodeEcc::Medium).ok()?;
    let dark = (0..code.size()).flat_map(|y| (0..code.size()).map(move |x| (x, y)));
    let path: String = dark
        .filter(|(x, y)| code.get_module(*x, *y))
        .map(|(x, y)| format!("M{},{}h1v1h-1z", x + BORDER, y + BORDER))
        .collect();
    let size = code.size() + 2 * BORDER;
    let pixels = size * SCALE;
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{pixels}\" height=\"{pixels}\" viewBox=\"0 0 {size} {size}\" \
         shape-rendering=\"crispEdges\"><path fill=\"white\" d=\"M0,0h{size}v{size}h-{size}z\"/>\
         <path fill=\"black\" d=\"{path}\"/></svg>"
    ))
}

#[cfg(test)]
mod tests {
    use super::{host, otpauth_uri, qr_svg};

    #[test]
    fn uri_is_escaped_for_apps() {
        assert_eq!(
            otpauth_uri("Ann & Söhne: GmbH", "ann+b@example.com", "ABC"),
            "otpauth://totp/Ann%20%26%20S%C3%B6hne%20%20GmbH:ann%2Bb%40example.com?algorithm=SHA1&digits=6\
             &issuer=Ann%20%26%20S%C3%B6hne%20%20GmbH&period=30&secret=ABC"
        );
    }

    #[test]
    fn issuer_is_the_sites_host() {
        assert_eq!(host("https://app.example.com/x"), "app.example.com");
        assert_eq!(host("http://localhost:3000"), "localhost");
        assert_eq!(host(""), "Rowhouse");
    }

    #[test]
    fn qr_code_is_an_svg_that_fits_into_a_data_url() {
        let svg = qr_svg("otpauth://totp/a:b?secret=C").unwrap();
        assert!(svg.starts_with("<svg xmlns=") && svg.ends_with("</svg>"));
        assert!(!svg.contains(['#', '%', '\n']), "{svg}");
        assert_eq!(qr_svg(&"x".repeat(5_000)), None);
    }
}
