//! One login of the data plane: addresses, credentials, and the start-up exchange
//! (PostgreSQL protocol 3.0, "Start-up" and "SASL Authentication").

use std::time::Duration;

use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::authentication::{md5_hash, sasl};
use postgres_protocol::message::{backend, frontend};
use rowhouse_kernel::Secret;
use tokio_postgres::config::{ChannelBinding, Host};

use super::stream::{Address, Stream};
use crate::error::{DbError, PgError, Reason};
use crate::session::SET_SEARCH_PATH;
use crate::tls::Tls;
use crate::url::{ServerState, SessionAttrs, Target};

/// Addresses and credentials.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    /// Tried in turn.
    pub(crate) addresses: Vec<Address>,
    attrs: SessionAttrs,
    tls: Tls,
    user: String,
    password: Secret,
    database: String,
    /// `options`: command-line options of the server, as libpq sends them.
    options: Option<String>,
    channel_binding: ChannelBinding,
    pub(super) statement_timeout: Duration,
    /// In `pg_stat_activity`.
    application_name: &'static str,
    /// Sent after sign-in, besides what every session gets.
    settings: &'static str,
    /// Whether sessions are WAL senders, which take no statements of SQL.
    is_replication: bool,
}

/// A connection after start-up.
pub(crate) struct Greeted {
    pub(crate) stream: Stream,
    pub(crate) read: BytesMut,
    /// Which server it is, for cancel requests.
    address: Address,
    /// What the server was and is, and what it has to be.
    accepted: ServerState,
    server: ServerState,
    attrs: SessionAttrs,
    pub(crate) process_id: i32,
    pub(crate) secret_key: i32,
}

impl Login {
    /// Reads a `postgres://` URL.
    pub(crate) fn from_url(url: &Secret, statement_timeout: Duration) -> Result<Self, DbError> {
        let Target { config, tls, attrs } = crate::url::target(url)?;
        let hosts = config.get_hosts().iter().enumerate().map(|(at, host)| {
            let port = crate::url::port(config.get_ports(), at);
            match host {
                Host::Unix(folder) => Address::Unix(folder.join(format!(".s.PGSQL.{port}"))),
                Host::Tcp(host) => Address::Tcp(host.clone(), port),
            }
        });
        let addresses = hosts.collect();
        let user = config.get_user().unwrap_or("postgres").to_owned();
        let password = String::from_utf8_lossy(config.get_password().unwrap_or_default()).into_owned();
        let database = config.get_dbname().unwrap_or(&user).to_owned();
        Ok(Self {
            addresses,
            attrs,
            tls,
            user,
            password: Secret::new(password),
            database,
            options: config.get_options().map(str::to_owned),
            channel_binding: config.get_channel_binding(),
            statement_timeout,
            application_name: "rowhouse-data",
            settings: "",
            is_replication: false,
        })
    }

    /// The same for physical replication, which belongs to no database.
    pub(crate) fn for_replication(self) -> Self {
        Self { application_name: "rowhouse-backup", is_replication: true, ..self }
    }

    /// The same for the program's own statements, whose names and operators the project's code must not replace.
    pub(super) fn of_program(self, application_name: &'static str) -> Self {
        Self { application_name, settings: SET_SEARCH_PATH, ..self }
    }

    /// Signs in to the first server that answers as `target_session_attrs` asks.
    pub(crate) async fn connect(&self) -> Result<Greeted, DbError> {
        let mut failure = unavailable("the database URL names no host".to_owned());
        for attrs in self.attrs.passes() {
            for address in &self.addresses {
                match self.sign_in(address).await {
                    Ok(greeted) if attrs.accepts(greeted.server) => {
                        return Ok(Greeted { accepted: greeted.server, attrs: *attrs, ..greeted });
                    }
                    Ok(_) => failure = unavailable(self.attrs.refusal()),
                    Err(error) => failure = error,
                }
            }
        }
        Err(failure)
    }

    async fn open(&self, address: &Address) -> Result<Stream, DbError> {
        let stream = Stream::connect(address).await.map_err(lost)?;
        if self.tls.is_wanted() { stream.secured(address, &self.tls).await } else { Ok(stream) }
    }

    async fn sign_in(&self, address: &Address) -> Result<Greeted, DbError> {
        let mut stream = self.open(address).await?;
        let mut out = BytesMut::new();
        // Only parameters that every pooler accepts, and the URL's `options`; the rest is set after sign-in.
        let parameters = [
            ("user", self.user.as_str()),
            ("database", &self.database),
            ("application_name", self.application_name),
            ("client_encoding", "UTF8"),
        ];
        let parameters = parameters
            .into_iter()
            .chain(self.options.as_deref().map(|options| ("options", options)))
            .chain(self.is_replication.then_some(("replication", "true")));
        frontend::startup_message(parameters, &mut out).map_err(lost)?;
        stream.send(&out).await.map_err(lost)?;
        let mut greeting = Greeted {
            stream,
            read: BytesMut::with_capacity(8192),
            address: address.clone(),
            accepted: ServerState::default(),
            server: ServerState::default(),
            attrs: SessionAttrs::Any,
            process_id: 0,
            secret_key: 0,
        };
        self.authenticate(&mut greeting).await?;
        if !self.is_replication {
            self.set_parameters(&mut greeting).await?;
        }
        Ok(greeting)
    }

    async fn set_parameters(&self, greeting: &mut Greeted) -> Result<(), DbError> {
        let mut out = BytesMut::new();
        // An abandoned transaction would hold its locks for ever; JIT costs more than these short queries take;
        // `bytea_output` makes results independent of the database's setting.
        let sql = format!(
            "set statement_timeout = {}; set idle_in_transaction_session_timeout = 10000; set jit = off; \
             set bytea_output = hex; set standard_conforming_strings = on; {}",
            self.statement_timeout.as_millis(),
            self.settings
        );
        frontend::query(&sql, &mut out).map_err(lost)?;
        greeting.stream.send(&out).await.map_err(lost)?;
        loop {
            match greeting.next().await? {
                backend::Message::ReadyForQuery(_) => return Ok(()),
                backend::Message::ErrorResponse(body) => return Err(sign_in_refused(read_error(&body)?)),
                _ => {}
            }
        }
    }

    async fn authenticate(&self, greeting: &mut Greeted) -> Result<(), DbError> {
        let mut scram: Option<sasl::ScramSha256> = None;
        loop {
            let mut out = BytesMut::new();
            match greeting.next().await? {
                backend::Message::AuthenticationOk => self.require_binding(scram.is_some())?,
                backend::Message::NoticeResponse(_) => {}
                backend::Message::ParameterStatus(body) => greeting.note(&body),
                backend::Message::AuthenticationCleartextPassword => {
                    self.require_binding(false)?;
                    frontend::password_message(self.password.expose().as_bytes(), &mut out).map_err(lost)?;
                }
                backend::Message::AuthenticationMd5Password(body) => {
                    self.require_binding(false)?;
                    let hash = md5_hash(self.user.as_bytes(), self.password.expose().as_bytes(), body.salt());
                    frontend::password_message(hash.as_bytes(), &mut out).map_err(lost)?;
                }
                backend::Message::AuthenticationSasl(body) => {
                    let offered: Vec<String> =
                        body.mechanisms().map(|m| Ok(m.to_owned())).collect().map_err(lost)?;
                    let (mechanism, binding) = self.mechanism(&offered, greeting.stream.end_point())?;
                    let exchange = sasl::ScramSha256::new(self.password.expose().as_bytes(), binding);
                    frontend::sasl_initial_response(mechanism, exchange.message(), &mut out).map_err(lost)?;
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
                backend::Message::ErrorResponse(body) => return Err(sign_in_refused(read_error(&body)?)),
                _ => return Err(out_of_turn()),
            }
            if !out.is_empty() {
                greeting.stream.send(&out).await.map_err(lost)?;
            }
        }
    }

    /// The strongest mechanism that both sides support: with channel binding where the server offers it, TLS is spoken
    /// and the URL does not disable it.
    fn mechanism(
        &self,
        offered: &[String],
        end_point: Option<Vec<u8>>,
    ) -> Result<(&'static str, sasl::ChannelBinding), DbError> {
        let has = |name: &str| offered.iter().any(|mechanism| mechanism == name);
        let (is_bound, end_point) = match self.channel_binding {
            ChannelBinding::Disable => (false, None),
            _ => (has(sasl::SCRAM_SHA_256_PLUS), end_point),
        };
        match end_point {
            Some(digest) if is_bound => {
                Ok((sasl::SCRAM_SHA_256_PLUS, sasl::ChannelBinding::tls_server_end_point(digest)))
            }
            _ if self.channel_binding == ChannelBinding::Require => Err(unbound()),
            Some(_) if has(sasl::SCRAM_SHA_256) => {
                Ok((sasl::SCRAM_SHA_256, sasl::ChannelBinding::unrequested()))
            }
            None if has(sasl::SCRAM_SHA_256) => {
                Ok((sasl::SCRAM_SHA_256, sasl::ChannelBinding::unsupported()))
            }
            _ => Err(DbError::Protocol(format!("no usable SASL mechanism among {offered:?}").into())),
        }
    }

    /// Refuses a sign-in by other means than SCRAM where the URL requires channel binding.
    fn require_binding(&self, is_scram: bool) -> Result<(), DbError> {
        if is_scram || self.channel_binding != ChannelBinding::Require { Ok(()) } else { Err(unbound()) }
    }

    /// Asks the server to cancel a connection's query, and waits until it has received the request.
    pub(crate) async fn cancel(&self, greeted: &Greeted) -> Result<(), DbError> {
        let mut stream = self.open(&greeted.address).await?;
        let mut out = BytesMut::new();
        frontend::cancel_request(greeted.process_id, greeted.secret_key, &mut out);
        stream.send(&out).await.map_err(lost)?;
        // The server closes the connection once the signal has been sent.
        let _end_of_file = stream.fill(&mut out).await;
        Ok(())
    }
}

impl Greeted {
    /// Takes over what the server reports of itself.
    pub(super) fn note(&mut self, status: &backend::ParameterStatusBody) {
        if let (Ok(name), Ok(value)) = (status.name(), status.value()) {
            self.server.note(name, value);
        }
    }

    /// Whether the server still is what it was at sign-in.
    pub(super) fn is_fit(&self) -> bool {
        self.server.is_standby == self.accepted.is_standby && self.attrs.accepts(self.server)
    }

    pub(crate) async fn next(&mut self) -> Result<backend::Message, DbError> {
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

/// A refusal at sign-in is not caused by the request.
fn sign_in_refused(error: PgError) -> DbError {
    DbError::Unavailable(Reason::caused_by(format!("sign-in refused: {error}"), error))
}

fn unavailable(message: String) -> DbError {
    DbError::Unavailable(message.into())
}

fn unbound() -> DbError {
    unavailable(
        "channel_binding=require: the server does not bind the sign-in to the TLS connection (SCRAM-SHA-256-PLUS)"
            .to_owned(),
    )
}

fn out_of_turn() -> DbError {
    DbError::Protocol("message out of turn during start-up".into())
}

/// An input or output error: the connection is gone.
#[expect(clippy::needless_pass_by_value, reason = "used as a function in map_err")]
pub(crate) fn lost(error: std::io::Error) -> DbError {
    unavailable(format!("connection lost: {error}"))
}
