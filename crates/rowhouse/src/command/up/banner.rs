//! What a developer wants to see when it is ready; on stderr, for stdout belongs to `--json`.

use std::io::Write;

use crate::state::State;

pub(super) fn print(state: &State, as_json: bool) {
    let mut lines = vec![format!("Rowhouse is ready: {}", state.url)];
    if !as_json {
        lines.extend([
            format!("  REST API          {}/rest/v1", state.url),
            format!("  Auth              {}/auth/v1", state.url),
            format!("  Health            {}/health", state.url),
        ]);
        lines.extend(state.mail_url.iter().map(|url| format!("  Captured mail     {url}")));
        lines.extend(state.smtp_port.iter().map(|port| format!("  SMTP              127.0.0.1:{port}")));
        lines.extend([
            format!("  anon key          {}", state.anon_key),
            format!("  service_role key  {}", state.service_role_key),
            "  Database          rowhouse psql (the URL stands in .rowhouse/state.json)".to_owned(),
            "  Stop with Ctrl-C, or: rowhouse stop".to_owned(),
        ]);
    }
    let _closed_terminal = writeln!(std::io::stderr(), "{}", lines.join("\n"));
}
