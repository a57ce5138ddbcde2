//! TLS to a server with an authority of its own.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use rowhouse_redis::{RedisSettings, probe};
use rowhouse_testkit::RedisServer;

use crate::rates::{Process, settings};

fn openssl(folder: &Path, arguments: &str) {
    let output = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// An authority, and a certificate of it for `localhost`.
fn certificates(folder: &Path) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(folder, &format!("req -x509 {key} -subj /CN=ca -days 10 -keyout ca.key -out ca.pem"));
    std::fs::write(folder.join("names"), "subjectAltName=DNS:localhost\n").unwrap();
    openssl(folder, &format!("req -new {key} -subj /CN=localhost -keyout server.key -out server.csr"));
    let sign = "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile names";
    openssl(folder, &format!("{sign} -days 10 -out server.crt"));
}

#[tokio::test]
async fn certificate_of_a_named_authority_is_trusted_and_no_other() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let file = |name: &str| folder.path().join(name).display().to_string();
    let options = [
        ("--tls-port", port.to_string()),
        ("--tls-cert-file", file("server.crt")),
        ("--tls-key-file", file("server.key")),
        ("--tls-ca-cert-file", file("ca.pem")),
        ("--tls-auth-clients", "no".to_owned()),
    ];
    let options = options.map(|(name, value)| [name.to_owned(), value]).concat();
    let server = RedisServer::start_with(|_| options).await;
    let url = |host: &str| format!("rediss://:test-redis@{host}:{port}");
    let trusting = |host: &str| RedisSettings { ca_file: Some(file("ca.pem")), ..settings(url(host)) };

    let process = Process::started(&trusting("localhost"), "d").await;
    assert_eq!(process.count().await, 3);
    assert!(probe(&trusting("127.0.0.1")).await.unwrap().is_err(), "the certificate has another name");
    assert!(probe(&settings(url("localhost"))).await.unwrap().is_err(), "the authority is unknown");
    assert_eq!(server.ask("PING").await, "+PONG");
}
