//! What TLS to PostgreSQL costs: the same reads with and without it, in turns, over TCP on loopback to a server with an
//! authority of its own. Certificates are made by openssl.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use rowhouse_testkit::Cluster;

use super::server::{Server, User};
use super::wrk::Wrk;
use super::{CONNECTIONS, Effort, Measured, median, scenario};

/// The throughput of plain text as a multiple of that of TLS: the medians of all rounds.
pub(super) async fn plain_against_tls(root: &Path, effort: &Effort) -> Result<f64> {
    let postgres = Postgres::start()?;
    let folder = tempfile::tempdir().context("a folder for the project")?;
    let mut server =
        Server::start_on(root, folder.path(), &[("ROWHOUSE_DB__URL", &postgres.plain())], postgres.pid()?)?;
    let user = server.sign_up().await?;
    scenario::fill_todos(&server, &user).await?;
    let (mut plain, mut secured) = (Vec::new(), Vec::new());
    for round in 1..=effort.rounds {
        eprintln!("reads over TLS: round {round} of {}", effort.rounds);
        for (url, measured) in [(postgres.plain(), &mut plain), (postgres.secured(), &mut secured)] {
            server.restart(&[("ROWHOUSE_DB__URL", &url)])?;
            measured.push(reads(&server, &user, effort.seconds)?);
        }
    }
    server.stop()?;
    let (plain, secured) = (median(plain)?, median(secured)?);
    eprintln!("plain: {:.0} a second; TLS: {:.0} a second", plain.per_second, secured.per_second);
    Ok(plain.per_second / secured.per_second)
}

fn reads(server: &Server, user: &User, seconds: u32) -> Result<Measured> {
    let wrk = Wrk::new(server, user)?;
    wrk.run(&scenario::twenty_rows(), CONNECTIONS, 2)?;
    wrk.run(&scenario::twenty_rows(), CONNECTIONS, seconds)
}

/// A server that speaks both, on loopback.
struct Postgres {
    cluster: Cluster,
    port: u16,
}

impl Postgres {
    fn start() -> Result<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut made = Ok(());
        let cluster = Cluster::start_with(|folder| {
            made = make_certificates(folder);
            let at = folder.display();
            format!(
                "-h localhost -p {port} -c ssl=on -c ssl_cert_file={at}/server.crt -c ssl_key_file={at}/server.key"
            )
        });
        made.map(|()| Self { cluster, port })
    }

    fn pid(&self) -> Result<u32> {
        Ok(u32::try_from(self.cluster.postmaster())?)
    }

    fn url(&self, parameters: &str) -> String {
        format!("postgres://postgres:test@localhost:{}/postgres?{parameters}", self.port)
    }

    fn plain(&self) -> String {
        self.url("sslmode=disable")
    }

    fn secured(&self) -> String {
        self.url(&format!("sslmode=verify-full&sslrootcert={}/ca.pem", self.cluster.folder().display()))
    }
}

/// An authority, and a certificate of it for `localhost`.
fn make_certificates(folder: &Path) -> Result<()> {
    std::fs::write(folder.join("names"), "subjectAltName=DNS:localhost\n")?;
    for arguments in [
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=ca -days 10 -keyout ca.key -out ca.pem",
        "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -keyout server.key -out server.csr",
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile names -days 10 -out server.crt",
    ] {
        let output = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output();
        let output = output.context("openssl is not installed")?;
        ensure!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
