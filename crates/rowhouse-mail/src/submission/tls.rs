//! The certificate for STARTTLS.

use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::error::MailError;
use crate::settings::MailSettings;

/// With `mail.smtp_certificate` and `mail.smtp_certificate_key`, if they are set.
pub(crate) fn acceptor(settings: &MailSettings) -> Result<Option<TlsAcceptor>, MailError> {
    let (Some(certificate), Some(key)) = (&settings.smtp_certificate, &settings.smtp_certificate_key) else {
        return Ok(None);
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unusable("smtp_certificate", &error))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable("smtp_certificate_key", &error))?;
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| unusable("smtp_certificate", &error))?;
    Ok(Some(TlsAcceptor::from(Arc::new(config))))
}

fn unusable(key: &str, error: &dyn std::fmt::Display) -> MailError {
    MailError::Unusable(format!("mail.{key}: {error}"))
}
