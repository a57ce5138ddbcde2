//! TLS to a server with an authority of its own: what is accepted, and what each refusal says.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rowhouse_db::flight::Query;
use rowhouse_db::{Control, DataPlaneUrls, Database, DatabaseUrls, DbError, DbSettings, Heard, ListenHub};
use rowhouse_kernel::{Caller, Operation, Secret};
use rowhouse_testkit::{Cluster, in_time};

use crate::support::context;

/// What a server with client certificates asks for.
const CERTIFIED: &str = "hostssl all all all scram-sha-256 clientcert=verify-full";

const IS_SECURED: &str = "select ssl::text from pg_stat_ssl where pid = pg_backend_pid()";

struct Server {
    cluster: Cluster,
    port: u16,
}

fn openssl(folder: &Path, arguments: &str) {
    let output = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// An authority, a certificate of it for `localhost`, one that has expired, and another authority.
fn certificates(folder: &Path) {
    for name in ["ca", "other"] {
        let subject = format!("-subj /CN={name} -days 10 -keyout {name}.key -out {name}.pem");
        openssl(folder, &format!("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes {subject}"));
    }
    std::fs::write(folder.join("names"), "subjectAltName=DNS:localhost\n").unwrap();
    let key = "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost";
    openssl(folder, &format!("{key} -keyout server.key -out server.csr"));
    let sign = "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile names";
    openssl(folder, &format!("{sign} -days 10 -out server.crt"));
    openssl(folder, &format!("{sign} -days -1 -out expired.crt"));
    let key = "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=postgres";
    openssl(folder, &format!("{key} -keyout client.key -out client.csr"));
    let sign = "x509 -req -in client.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile names";
    openssl(folder, &format!("{sign} -days 10 -out client.crt"));
}

impl Server {
    async fn start() -> Self {
        Self::start_with("host all all all scram-sha-256").await
    }

    /// With this line for TCP in its `pg_hba.conf`.
    async fn start_with(rule: &str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let cluster = Cluster::start_with(|folder| {
            certificates(folder);
            std::fs::write(folder.join("hba"), format!("local all all scram-sha-256\n{rule}\n")).unwrap();
            let at = folder.display();
            format!("-h localhost -p {port} -c ssl_key_file={at}/server.key -c hba_file={at}/hba")
        });
        let server = Self { cluster, port };
        server.shows("server.crt").await;
        server.alter("ssl = on").await;
        server
    }

    async fn superuser(&self) -> tokio_postgres::Client {
        let url = self.cluster.url("postgres", "postgres").replace(":5432/", &format!(":{}/", self.port));
        rowhouse_db::connect(&Secret::new(url)).await.unwrap()
    }

    async fn alter(&self, setting: &str) {
        let client = self.superuser().await;
        client.batch_execute(&format!("alter system set {setting}")).await.unwrap();
        client.batch_execute("select pg_reload_conf()").await.unwrap();
    }

    async fn shows(&self, certificate: &str) {
        self.alter(&format!("ssl_cert_file = '{}/{certificate}'", self.cluster.folder().display())).await;
    }

    fn url(&self, host: &str, parameters: &str) -> Secret {
        let parameters = parameters.replace("FOLDER", &self.cluster.folder().display().to_string());
        Secret::new(format!("postgres://postgres:test@{host}:{}/postgres?{parameters}", self.port))
    }

    /// Whether each kind of connection is encrypted: a command, the control pool, a flight.
    async fn ways(&self, host: &str, parameters: &str) -> Vec<Result<String, DbError>> {
        let url = self.url(host, parameters);
        let alone = async {
            let client = rowhouse_db::connect(&url).await?;
            Ok(client.query_one(IS_SECURED, &[]).await?.get(0))
        };
        let control = Control::open(&url, &DbSettings::default()).unwrap();
        let read = async |client: &tokio_postgres::Client| {
            Ok::<String, DbError>(client.query_one(IS_SECURED, &[]).await?.get(0))
        };
        let control = control.statement(&Operation::system("test.tls"), read).await;
        vec![alone.await, control, self.flight(&url).await]
    }

    async fn flight(&self, url: &Secret) -> Result<String, DbError> {
        let data = DataPlaneUrls { authenticator: url.clone(), service: url.clone() };
        let urls = DatabaseUrls { control: url.clone(), direct: url.clone(), data };
        // Without the monitor, whose connections would be refused for reasons of their own.
        let database = Database::open(&urls, &DbSettings::default(), false)?;
        let query = Query { sql: Arc::from(IS_SECURED), params: Vec::new() };
        // pg_stat_ssl shows a session to its own login only.
        let caller = Caller { role: "postgres".into(), ..Caller::anonymous() };
        let rows = database.data.fly(&context(&caller), &query).await?;
        let value = rows.first().and_then(|row| row.first()?.clone()).unwrap_or_default();
        Ok(String::from_utf8(value.to_vec()).unwrap())
    }

    async fn all_are(&self, secured: bool, host: &str, parameters: &str) {
        for way in self.ways(host, parameters).await {
            assert_eq!(way.unwrap(), secured.to_string(), "{host} {parameters}");
        }
    }

    async fn all_say(&self, why: &str, host: &str, parameters: &str) {
        for way in self.ways(host, parameters).await {
            let error = way.unwrap_err();
            assert!(matches!(error, DbError::Unavailable(_)), "{error:?}");
            assert!(error.to_string().contains(why), "{host} {parameters}: {error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sslmode_behaves_as_in_libpq_on_every_kind_of_connection() {
    let server = Server::start().await;
    server.all_are(true, "localhost", "sslmode=verify-full&sslrootcert=FOLDER/ca.pem").await;
    server.all_are(true, "localhost:1,localhost", "sslmode=verify-full&sslrootcert=FOLDER/ca.pem").await;
    server.all_are(true, "127.0.0.1", "sslmode=verify-ca&sslrootcert=FOLDER/ca.pem").await;
    server.all_are(true, "127.0.0.1", "sslmode=require").await;
    server.all_are(true, "localhost", "sslmode=prefer").await;
    server.all_are(false, "localhost", "sslmode=disable").await;

    server.all_say("sslrootcert", "localhost", "sslmode=verify-full&sslrootcert=FOLDER/other.pem").await;
    server.all_say("sslrootcert", "localhost", "sslmode=verify-full").await;
    server.all_say("another host name", "127.0.0.1", "sslmode=verify-full&sslrootcert=FOLDER/ca.pem").await;

    server.shows("expired.crt").await;
    server.all_say("has expired", "localhost", "sslmode=verify-full&sslrootcert=FOLDER/ca.pem").await;
    server.all_say("has expired", "localhost", "sslmode=verify-ca&sslrootcert=FOLDER/ca.pem").await;
    server.alter("ssl = off").await;
    server.all_are(false, "localhost", "sslmode=prefer").await;
    server.all_say("TLS", "localhost", "sslmode=require").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn client_certificate_is_sent_on_every_kind_of_connection() {
    let server = Server::start_with(CERTIFIED).await;
    server.alter(&format!("ssl_ca_file = '{}/ca.pem'", server.cluster.folder().display())).await;
    let verified = "sslmode=verify-full&sslrootcert=FOLDER/ca.pem";
    let certified = format!("{verified}&sslcert=FOLDER/client.crt&sslkey=FOLDER/client.key");
    let opens = async || server.ways("localhost", &certified).await.iter().all(Result::is_ok);
    rowhouse_testkit::until("the server has read its files", Duration::from_secs(10), opens).await;
    server.all_are(true, "localhost", &certified).await;
    for way in server.ways("localhost", verified).await {
        assert!(way.is_err(), "without a certificate: {way:?}");
    }
    // The server's certificate has another name than the login, and is no client's.
    let wrong = format!("{verified}&sslcert=FOLDER/server.crt&sslkey=FOLDER/server.key");
    for way in server.ways("localhost", &wrong).await {
        assert!(way.is_err(), "with another's certificate: {way:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn listening_is_secured_and_channel_binding_is_used_where_there_is_tls() {
    let server = Server::start().await;
    let url =
        server.url("localhost", "sslmode=verify-full&sslrootcert=FOLDER/ca.pem&channel_binding=require");
    let hub = ListenHub::default();
    let mut heard = hub.subscribe();
    let listening = tokio::spawn(hub.run(url.clone(), vec!["secured"], || ()));
    assert_eq!(in_time("the first look", heard.recv()).await.unwrap(), Heard::Resync);
    let sql = "select bool_and(ssl) from pg_stat_ssl join pg_stat_activity using (pid) \
               where application_name = 'rowhouse-listen'";
    let client = server.superuser().await;
    assert!(client.query_one(sql, &[]).await.unwrap().get::<_, bool>(0));
    client.batch_execute("notify secured, 'hello'").await.unwrap();
    let notice = in_time("the notice", heard.recv()).await.unwrap();
    assert!(matches!(notice, Heard::Notice { payload, .. } if payload == "hello"));
    listening.abort();

    rowhouse_db::connect(&url).await.unwrap();
    let plain = server.url("localhost", "sslmode=disable&channel_binding=require");
    assert!(rowhouse_db::connect(&plain).await.is_err(), "there is no channel to bind to");
}

/// A server takes a client for attacked that speaks TLS and thinks the server could not bind, so what signs in here has
/// bound where it says that it must.
#[tokio::test(flavor = "multi_thread")]
async fn channel_binding_is_used_where_it_is_required_and_refused_by_name_where_it_cannot_be() {
    let server = Server::start().await;
    let tls = "sslmode=require&channel_binding=require";
    server.all_are(true, "localhost", tls).await;
    server.all_are(true, "localhost", "sslmode=require&channel_binding=disable").await;
    let plain = server.flight(&server.url("localhost", "sslmode=disable&channel_binding=require")).await;
    let why = plain.unwrap_err().to_string();
    assert!(why.contains("channel_binding=require"), "{why}");

    let md5 = Server::start_with("host all all all md5").await;
    let client = md5.superuser().await;
    client.batch_execute("set password_encryption = md5; alter role postgres password 'test'").await.unwrap();
    let refused = md5.flight(&md5.url("localhost", tls)).await.unwrap_err().to_string();
    assert!(refused.contains("channel_binding=require"), "{refused}");
    let trust = Server::start_with("host all all all trust").await;
    let refused = trust.flight(&trust.url("localhost", tls)).await.unwrap_err().to_string();
    assert!(refused.contains("channel_binding=require"), "{refused}");
}
