//! TLS to PostgreSQL by libpq's rules: from `sslmode` and related options to a connector for tokio-postgres and for
//! flights. Leaves parsing the options to `url`.

mod certificate;
mod connector;
mod verifier;

use std::error::Error;
use std::sync::Arc;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::{CertificateError, ClientConfig, RootCertStore};

pub(crate) use certificate::end_point;
pub(crate) use connector::{Secured, Tls};
use verifier::{AnyServer, KnownAuthority};

use crate::error::DbError;

/// `sslmode`, strictest last. `allow` counts as `prefer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SslMode {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

impl SslMode {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "disable" => Self::Disable,
            "allow" | "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => return None,
        })
    }
}

/// TLS options of a URL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TlsOptions {
    /// `sslmode`, if given.
    pub(crate) mode: Option<SslMode>,
    /// `sslrootcert`: a file of authorities, or `system`.
    pub(crate) root: Option<String>,
    /// `sslcert` and `sslkey`: files.
    pub(crate) certificate: Option<String>,
    pub(crate) key: Option<String>,
}

impl TlsOptions {
    /// The mode in force. Without `sslmode`, a local server may use plain text and a remote one must prove its host
    /// name. `prefer` never means plain text to another machine, and a file of authorities with `require` is used, as
    /// in libpq.
    pub(crate) fn mode(&self, is_remote: bool) -> SslMode {
        let mode = match self.mode {
            None if is_remote || self.root.is_some() => SslMode::VerifyFull,
            None => SslMode::Prefer,
            Some(SslMode::Prefer) if is_remote => SslMode::Require,
            Some(mode) => mode,
        };
        match self.root.as_deref() {
            Some("system") if mode != SslMode::Disable => SslMode::VerifyFull,
            Some(_) if mode == SslMode::Require => SslMode::VerifyCa,
            _ => mode,
        }
    }

    /// A connector for `mode`.
    pub(crate) fn connector(&self, mode: SslMode) -> Result<Tls, DbError> {
        if mode == SslMode::Disable {
            return Ok(Tls::plain());
        }
        let provider = Arc::new(default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable("TLS", &error))?;
        let builder = match mode {
            SslMode::VerifyFull => builder.with_root_certificates(self.roots()?),
            SslMode::VerifyCa => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(KnownAuthority::new(self.roots()?, provider)?)),
            _ => builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyServer::new(provider))),
        };
        let config = match (&self.certificate, &self.key) {
            (None, None) => builder.with_no_client_auth(),
            (Some(certificate), Some(key)) => {
                let chain = certificates(certificate, "sslcert")?;
                let key = PrivateKeyDer::from_pem_file(key)
                    .map_err(|error| unusable(&format!("sslkey {key}"), &error))?;
                builder.with_client_auth_cert(chain, key).map_err(|error| unusable("sslcert", &error))?
            }
            _ => return Err(DbError::Unusable("sslcert and sslkey belong together".into())),
        };
        Ok(Tls::new(mode, config))
    }

    fn roots(&self) -> Result<RootCertStore, DbError> {
        let mut store = RootCertStore::empty();
        match self.root.as_deref() {
            None | Some("system") => {
                let found = rustls_native_certs::load_native_certs();
                store.add_parsable_certificates(found.certs);
                if store.is_empty() {
                    let why = "this machine has no certificate authorities (package ca-certificates); \
                               name those of the server with sslrootcert=FILE";
                    return Err(DbError::Unusable(why.to_owned().into()));
                }
            }
            Some(file) => {
                for certificate in certificates(file, "sslrootcert")? {
                    store.add(certificate).map_err(|error| unusable("sslrootcert", &error))?;
                }
            }
        }
        Ok(store)
    }
}

fn certificates(file: &str, option: &str) -> Result<Vec<CertificateDer<'static>>, DbError> {
    let all = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let all = all.map_err(|error| unusable(&format!("{option} {file}"), &error))?;
    match all.is_empty() {
        true => Err(DbError::Unusable(format!("{option} {file}: there is no certificate in it").into())),
        false => Ok(all),
    }
}

fn unusable(what: &str, error: &dyn std::fmt::Display) -> DbError {
    DbError::Unusable(format!("{what}: {error}").into())
}

/// Why a handshake failed, with the remedy; `None` if TLS is not the cause.
pub(crate) fn explain(error: &(dyn Error + 'static)) -> Option<String> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<tokio_rustls::rustls::Error>() {
            return Some(advice(error));
        }
        // An input error's own source is the source of what it wraps.
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        cause = match inner {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

fn advice(error: &tokio_rustls::rustls::Error) -> String {
    use tokio_rustls::rustls::Error as Tls;
    match error {
        Tls::InvalidCertificate(why) => match why {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "the server's certificate is not from an authority that is trusted here; name its authority with \
                 sslrootcert=FILE"
                    .to_owned()
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the server's certificate has expired".to_owned()
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the server's certificate is not valid yet; compare the clocks".to_owned()
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!("the server's certificate is for another host name ({error}); sslmode=verify-ca accepts that")
            }
            _ => format!("the server's certificate is refused: {error}"),
        },
        other => format!("the TLS handshake failed: {other}"),
    }
}

#[cfg(test)]
mod tests;
