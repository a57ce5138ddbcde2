//! One login: where and as whom a data-plane connection signs in, and the start-up exchange
//! (PostgreSQL protocol 3.0, "Start-up" and "SASL Authentication").

use std::time::Duration;

use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::authentication::{md5_hash, sasl};
use postgres_protocol::message::{backend, frontend};
use rowhouse_kernel::Secret;
use tokio_postgres::config::Host;

use super::stream::{Address, Stream};
use crate::error::{DbError, PgError};

/// Where and as whom to sign in.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    pub(crate) address: Address,
    user: String,
    password: Secret,
    database: String,
    statement_timeout: Duration,
}

/// A connection fresh from start-up.
pub(crate) struct Greeted {
    pub(crate) stream: Stream,
    pub(crate) read: BytesMut,
    pub(crate) process_id: i32,
    pub(crate) secret_key: i32,
}

impl Login {
    /// Reads a `postgres://` URL.
    pub(crate) fn from_url(url: &Secret, statement_timeout: Duration) -> Result<Self, DbError> {
        let config = crate::url::read(url)?;
        let port = config.get_ports().first().copied().unwrap_or(5432);
        let address = match config.get_hosts().first() {
            Some(Host::Unix(folder)) => Address::Unix(folder.join(format!(".s.PGSQL.{port}"))),
            Some(Host::Tcp(host)) => Address::Tcp(host.clone(), port),
            None => return Err(unavailable("the database URL names no host".to_owned())),
        };
        let user = config.get_user().unwrap_or("postgres").to_owned();
        let password = String::from_utf8_lossy(config.get_password().unwrap_or_default()).into_owned();
        let database = config.get_dbname().unwrap_or(&user).to_owned();
        Ok(Self { address, user, password: Secret::new(password), database, statement_timeout })
    }

    pub(crate) async fn connect(&self) -> Result<Greeted, DbError> {
        let mut stream = Stream::connect(&self.address).await.map_err(lost)?;
        let mut out = BytesMut::new();
        let timeout = self.statement_timeout.as_millis().to_string();
        let parameters = [
            ("user", self.user.as_str()),
            ("database", &self.database),
            ("application_name", "rowhouse-data"),
            ("client_encoding", "UTF8"),
            ("statement_timeout", &timeout),
            // An abandoned transaction would hold its locks for ever.
            ("idle_in_transaction_session_timeout", "10000"),
            // Compiling costs more than these short queries take.
            ("jit", "off"),
        ];
        frontend::startup_message(parameters, &mut out).map_err(lost)?;
        stream.send(&out).await.map_err(lost)?;
        let mut greeting =
            Greeted { stream, read: BytesMut::with_capacity(8192), process_id: 0, secret_key: 0 };
        self.authenticate(&mut greeting).await?;
        Ok(greeting)
    }

    async fn authenticate(&self, greeting: &mut Greeted) -> Result<(), DbError> {
        let mut scram: Option<sasl::ScramSha256> = None;
        loop {
            let mut out = BytesMut::new();
            match greeting.next().await? {
                backend::Message::AuthenticationOk
                | backend::Message::ParameterStatus(_)
                | backend::Message::NoticeResponse(_) => {}
                backend::Message::AuthenticationCleartextPassword => {
                    frontend::password_message(self.password.expose().as_bytes(), &mut out).map_err(lost)?;
                }
                backend::Message::AuthenticationMd5Password(body) => {
                    let hash = md5_hash(self.user.as_bytes(), self.password.expose().as_bytes(), body.salt());
                    frontend::password_message(hash.as_bytes(), &mut out).map_err(lost)?;
                }
                backend::Message::AuthenticationSasl(body) => {
                    let offered: Vec<String> =
                        body.mechanisms().map(|m| Ok(m.to_owned())).collect().map_err(lost)?;
                    if !offered.iter().any(|mechanism| mechanism == sasl::SCRAM_SHA_256) {
                        return Err(DbError::Protocol(format!("no usable SASL mechanism among {offered:?}")));
                    }
                    let exchange = sasl::ScramSha256::new(
                        self.password.expose().as_bytes(),
                        sasl::ChannelBinding::unsupported(),
                    );
                    frontend::sasl_initial_response(sasl::SCRAM_SHA_256, exchange.message(), &mut out)
                        .map_err(lost)?;
                    scram = Some(exchange);
                }
                backend::Message::AuthenticationSaslContinue(body) => {
                    let exchange = scram.as_mut().ok_or_else(out_of_turn)?;
                    exchange.update(body.data()).map_err(lost)?;
                    frontend::sasl_response(exchange.message(), &mut out).map_err(lost)?;
                }
                backend::Message::AuthenticationSaslFinal(body) => {
                    scram.as_mut().ok_or_else(out_of_turn)?.finish(body.data()).map_err(lost)?;
                }
                backend::Message::BackendKeyData(body) => {
                    greeting.process_id = body.process_id();
                    greeting.secret_key = body.secret_key();
                }
                backend::Message::ReadyForQuery(_) => return Ok(()),
                backend::Message::ErrorResponse(body) => return Err(sign_in_refused(&read_error(&body)?)),
                _ => return Err(out_of_turn()),
            }
            if !out.is_empty() {
                greeting.stream.send(&out).await.map_err(lost)?;
            }
        }
    }

    /// Asks the server to cancel what `process_id` runs, and waits until it has taken the request.
    pub(crate) async fn cancel(&self, process_id: i32, secret_key: i32) -> Result<(), DbError> {
        let mut stream = Stream::connect(&self.address).await.map_err(lost)?;
        let mut out = BytesMut::new();
        frontend::cancel_request(process_id, secret_key, &mut out);
        stream.send(&out).await.map_err(lost)?;
        // The server closes the connection once the signal has been sent.
        let _end_of_file = stream.fill(&mut out).await;
        Ok(())
    }
}

impl Greeted {
    async fn next(&mut self) -> Result<backend::Message, DbError> {
        loop {
            if let Some(message) = backend::Message::parse(&mut self.read).map_err(lost)? {
                return Ok(message);
            }
            self.stream.fill(&mut self.read).await.map_err(lost)?;
        }
    }
}

/// Reads the fields of an ErrorResponse.
pub(crate) fn read_error(body: &backend::ErrorResponseBody) -> Result<PgError, DbError> {
    let mut error = PgError::default();
    let mut fields = body.fields();
    while let Some(field) = fields.next().map_err(lost)? {
        let text = String::from_utf8_lossy(field.value_bytes()).into_owned();
        match field.type_() {
            b'C' => error.code = text,
            b'M' => error.message = text,
            b'D' => error.detail = Some(text),
            b'H' => error.hint = Some(text),
            b'n' => error.constraint = Some(text),
            b'c' => error.column = Some(text),
            b'R' => error.routine = Some(text),
            _ => {}
        }
    }
    Ok(error)
}

/// A refusal at sign-in is never the request's fault.
fn sign_in_refused(error: &PgError) -> DbError {
    unavailable(format!("sign-in refused: {error}"))
}

fn unavailable(message: String) -> DbError {
    DbError::Unavailable(message)
}

fn out_of_turn() -> DbError {
    DbError::Protocol("message out of turn during start-up".to_owned())
}

/// An input or output error: the connection is gone.
#[expect(clippy::needless_pass_by_value, reason = "used as a function in map_err")]
pub(crate) fn lost(error: std::io::Error) -> DbError {
    unavailable(format!("connection lost: {error}"))
}
