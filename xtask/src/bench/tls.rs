//! What TLS to PostgreSQL costs: the same reads with and without it, in turns, over TCP on loopback to a PostgreSQL with
//! an authority of its own. Certificates are made by openssl.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use rowhouse_testkit::Cluster;

use super::server::Server;
use super::wrk::Wrk;
use super::{CONNECTIONS, Effort, Measured, median, scenario};

/// Seconds of one measurement. Short, so that both of a pair meet the same machine.
const SLICE: u32 = 1;

/// The throughput of plain text as a multiple of that of TLS: the median over pairs of measurements. Two servers run at
/// the same time, so that no restart lies between the two of a pair, and take turns in going first.
pub(super) async fn plain_against_tls(root: &Path, effort: &Effort) -> Result<f64> {
    let postgres = Postgres::start()?;
    let folder = tempfile::tempdir().context("a folder for the projects")?;

    let (plain, secured): (String, String) = (postgres.plain(), postgres.secured());
    let mut plain = Server::start_on(
        root,
        &folder.path().join("plain"),
        &[("ROWHOUSE_DB__URL", plain.as_str())],
        postgres.pid()?,
    )?;
    let user = plain.sign_up().await?;
    scenario::fill_todos(&plain, &user).await?;
    let mut secured = plain.start_beside(
        root,
        &folder.path().join("secured"),
        &[("ROWHOUSE_DB__URL", secured.as_str())],
    )?;
    let sides = [Wrk::new(&plain, &user)?, Wrk::new(&secured, &user)?];
    let pairs = measure(&sides, effort)?;
    secured.stop()?;
    plain.stop()?;
    summarize(&pairs)
}

/// Pairs of plain text and TLS.
fn measure(sides: &[Wrk; 2], effort: &Effort) -> Result<Vec<[Measured; 2]>> {
    let reads = |side: usize, seconds| sides[side].run(&scenario::twenty_rows(), CONNECTIONS, seconds);
    reads(0, 2)?;
    reads(1, 2)?;
    let pairs = effort.rounds * effort.seconds / SLICE;
    (1..=pairs)
        .map(|pair| {
            eprintln!("reads over TLS: {pair} of {pairs}");
            if pair % 2 == 0 {
                return Ok([reads(0, SLICE)?, reads(1, SLICE)?]);
            }
            let secured = reads(1, SLICE)?;
            Ok([reads(0, SLICE)?, secured])
        })
        .collect()
}

fn summarize(pairs: &[[Measured; 2]]) -> Result<f64> {
    let mut ratios: Vec<f64> =
        pairs.iter().map(|[plain, secured]| plain.per_second / secured.per_second).collect();
    ratios.sort_by(f64::total_cmp);
    for (side, name) in ["plain", "TLS"].into_iter().enumerate() {
        let middle = median(pairs.iter().map(|pair| pair[side]).collect())?;
        let Measured { per_second, server_cpu_us, postgres_cpu_us, .. } = middle;
        eprintln!(
            "{name}: {per_second:.0} a second; {server_cpu_us:.0} µs and PostgreSQL's {postgres_cpu_us:.0} µs each"
        );
    }
    eprintln!("plain / TLS, by pair: {ratios:.2?}");
    ratios.get(ratios.len() / 2).copied().context("nothing was measured")
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
