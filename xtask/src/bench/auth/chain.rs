//! Chains of refreshes: each of wrk's threads has one connection and one session, and sends the token of the answer before.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::CONNECTIONS;
use crate::bench::Measured;
use crate::bench::process::Processes;
use crate::bench::server::Server;
use crate::bench::wrk;

/// Users so far, whose addresses differ.
static USERS: AtomicU32 = AtomicU32::new(0);

/// Refresh tokens, one for each connection, and where they are exchanged.
pub(super) struct Chains {
    url: String,
    tokens: Vec<String>,
    processes: Processes,
}

impl Chains {
    /// Signs users up, whose sessions start with the counter 1, and makes as many sessions for pgbench.
    pub(super) async fn of_rowhouse(server: &Server) -> Result<Self> {
        let url = format!("{}/auth/v1/token?grant_type=refresh_token", server.url());
        let signup = format!("{}/auth/v1/signup", server.url());
        let chains = Self { url, tokens: sign_up(&signup).await?, processes: server.processes()? };
        server.run_as_superuser(
            "insert into auth.sessions (id, user_id, created_at, updated_at, aal) \
             select ('00000000-0000-4000-8000-' || lpad((row_number() over () - 1)::text, 12, '0'))::uuid, u.id, now(), now(), 'aal1' \
             from auth.users u where u.email like 'chain%'; \
             insert into auth.mfa_amr_claims (session_id, authentication_method) \
             select id, 'password' from auth.sessions where id::text like '00000000-%'",
        )?;
        Ok(chains)
    }

    /// The same in GoTrue, at its URL.
    pub(super) async fn of_gotrue(server: &Server, url: &str) -> Result<Self> {
        let tokens = sign_up(&format!("{url}/signup")).await?;
        let processes = server.processes()?;
        Ok(Self { url: format!("{url}/token?grant_type=refresh_token"), tokens, processes })
    }

    /// Refreshes for `seconds`.
    pub(super) fn run(&self, seconds: u32) -> Result<Measured> {
        let folder = tempfile::tempdir()?;
        let script = folder.path().join("chain.lua");
        std::fs::write(&script, self.lua())?;
        let mut command = Command::new("wrk");
        command.args(["--threads", &CONNECTIONS.to_string(), "--connections", &CONNECTIONS.to_string()]);
        command.args(["--latency", "--duration", &format!("{seconds}s"), "--script"]).arg(&script);
        command.args(["--header", "content-type: application/json"]).arg(&self.url);
        let before = self.processes.cpu_time()?;
        let output = command.output().context("wrk")?;
        let spent = self.processes.cpu_time()?.since(before);
        let text = String::from_utf8_lossy(&output.stdout);
        let measured = wrk::read(&text).with_context(|| format!("wrk said:\n{text}"))?;
        Ok(measured.with_cpu_time(spent))
    }

    fn lua(&self) -> String {
        let tokens: Vec<String> = self.tokens.iter().map(|token| format!("{token:?}")).collect();
        format!(
            "local tokens = {{ {} }}\nlocal count = 0\n\
             function setup(thread)\n  count = count + 1\n  thread:set('token', tokens[count])\nend\n\
             function request()\n\
             \x20 return wrk.format('POST', nil, nil, '{{\"refresh_token\":\"' .. token .. '\"}}')\nend\n\
             function response(status, headers, body)\n\
             \x20 token = body:match('\"refresh_token\":\"([^\"]+)\"') or token\nend\n",
            tokens.join(", ")
        )
    }
}

async fn sign_up(url: &str) -> Result<Vec<String>> {
    let client = reqwest::Client::new();
    let mut tokens = Vec::new();
    for _ in 0..CONNECTIONS {
        let number = USERS.fetch_add(1, Ordering::Relaxed);
        let body = json!({ "email": format!("chain{number}@example.com"), "password": "correct horse" });
        let answer: Value = client.post(url).json(&body).send().await?.error_for_status()?.json().await?;
        tokens.push(answer["refresh_token"].as_str().context("a refresh token")?.to_owned());
    }
    Ok(tokens)
}

/// All sessions begin anew, so that the first tokens are the current ones.
pub(super) fn rewind(server: &Server) -> Result<()> {
    let rewind = "update auth.sessions set refresh_token_counter = 1, rotated_at = now()";
    // Each by itself: vacuum runs in no transaction block, which several statements in one message are.
    [rewind, "vacuum analyze auth.sessions", "checkpoint"]
        .into_iter()
        .try_for_each(|sql| server.run_as_superuser(sql))
}

/// The counter that each client of pgbench starts with.
pub(super) fn start() -> Vec<(String, String)> {
    vec![("c".to_owned(), "1".to_owned())]
}

/// The statements of a refresh, which go to the server together; each client has its session and counts by itself.
pub(super) fn script() -> String {
    let session = "('00000000-0000-4000-8000-' || lpad((:client_id)::text, 12, '0'))::uuid";
    let values = [
        ("$10", "'127.0.0.1'::inet"),
        ("$9", "'bench'::text"),
        ("$8", "false"),
        ("$7", "now() - interval '90 days'"),
        ("$6", "null::timestamptz"),
        ("$5", "null::timestamptz"),
        ("$4", "now() - interval '10 seconds'"),
        ("$3", "now()"),
        ("$2", "(:c)::bigint"),
        ("$1", session),
    ];
    let statement = |sql: &str| {
        let sql = sql.replace('\n', " ");
        values.iter().fold(sql, |sql, (name, value)| sql.replace(name, value)) + ";\n"
    };
    let [exchange, user] = rowhouse_auth::REFRESH_STATEMENTS;
    format!("\\startpipeline\n{}{}\\endpipeline\n\\set c :c + 1\n", statement(exchange), statement(user))
}
