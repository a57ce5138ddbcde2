use super::{SslMode, TlsOptions};

fn options(mode: &str, root: Option<&str>) -> TlsOptions {
    TlsOptions { mode: SslMode::parse(mode), root: root.map(str::to_owned), ..TlsOptions::default() }
}

#[test]
fn plain_text_to_another_machine_requires_sslmode_disable() {
    assert_eq!(options("", None).mode(true), SslMode::VerifyFull);
    assert_eq!(options("prefer", None).mode(true), SslMode::Require);
    assert_eq!(options("allow", None).mode(true), SslMode::Require);
    assert_eq!(options("disable", None).mode(true), SslMode::Disable);
    assert_eq!(options("", None).mode(false), SslMode::Prefer);
}

#[test]
fn authorities_make_require_verify_as_in_libpq() {
    assert_eq!(options("require", None).mode(true), SslMode::Require);
    assert_eq!(options("require", Some("/ca.pem")).mode(true), SslMode::VerifyCa);
    assert_eq!(options("require", Some("system")).mode(true), SslMode::VerifyFull);
    assert_eq!(options("verify-ca", Some("/ca.pem")).mode(false), SslMode::VerifyCa);
}

#[test]
fn missing_files_are_named() {
    let error = options("verify-full", Some("/nowhere/ca.pem")).connector(SslMode::VerifyFull).unwrap_err();
    assert!(error.to_string().contains("sslrootcert /nowhere/ca.pem"), "{error}");
}
