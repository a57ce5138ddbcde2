//! TLS to the relay: trusted authorities, and when the handshake takes place.

use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::error::MailError;
use crate::settings::{MailSettings, RelayTls};

/// When the handshake takes place, and its configuration.
#[derive(Clone)]
pub(super) enum Encryption {
    None,
    /// After STARTTLS; a relay that does not offer it is an error.
    Starttls(Tls),
    /// From the first byte.
    Implicit(Tls),
}

#[derive(Clone)]
pub(super) struct Tls {
    pub(super) connector: TlsConnector,
    pub(super) name: ServerName<'static>,
}

impl std::fmt::Debug for Encryption {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Starttls(_) => "Starttls",
            Self::Implicit(_) => "Implicit",
        })
    }
}

/// As configured. The system's authorities are trusted, and that of `mail.relay_ca_file`.
pub(super) fn encryption(settings: &MailSettings, host: &str) -> Result<Encryption, MailError> {
    if settings.relay_tls == RelayTls::None {
        return Ok(Encryption::None);
    }
    let unusable =
        |key: &str, error: &dyn std::fmt::Display| MailError::Unusable(format!("mail.{key}: {error}"));
    let name = ServerName::try_from(host.to_owned()).map_err(|error| unusable("relay_host", &error))?;
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable("relay_tls", &error))?
        .with_root_certificates(roots(settings.relay_ca_file.as_deref())?)
        .with_no_client_auth();
    let tls = Tls { connector: TlsConnector::from(Arc::new(config)), name };
    Ok(match settings.relay_tls {
        RelayTls::Implicit => Encryption::Implicit(tls),
        _ => Encryption::Starttls(tls),
    })
}

fn roots(ca_file: Option<&str>) -> Result<RootCertStore, MailError> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(system.certs);
    let Some(path) = ca_file else { return Ok(roots) };
    let unusable =
        |error: &dyn std::fmt::Display| MailError::Unusable(format!("mail.relay_ca_file: {path}: {error}"));
    let own = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unusable(&error))?;
    if own.is_empty() {
        return Err(unusable(&"holds no certificate"));
    }
    for certificate in own {
        roots.add(certificate).map_err(|error| unusable(&error))?;
    }
    Ok(roots)
}
