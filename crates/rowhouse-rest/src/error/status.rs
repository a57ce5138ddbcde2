//! From an SQLSTATE to an HTTP status, as PostgREST has it. What the client is told is left to [`super::database`].
//!
//! Texts decide nothing: they are in the language of the server (`lc_messages`). Where one SQLSTATE stands for several
//! things, the name of the server's function tells them apart.

use http::StatusCode;
use rowhouse_db::PgError;

/// The server's functions that refuse to write to a view; the first since PostgreSQL 17.
const VIEW_WRITERS: [&str; 3] = ["error_view_not_updatable", "rewriteTargetView", "CheckValidResultRel"];
/// The server's function that holds a written row against policies, and against the checks of views.
const ROW_CHECK: &str = "ExecWithCheckOptions";
/// The server's function that has the text of a setting checked.
const SETTING_CHECK: &str = "call_string_check_hook";

/// The status for what the database refused; of a right, it depends on whether the caller is signed in.
pub(super) fn status(error: &PgError, signed_in: bool) -> StatusCode {
    let code = error.code.as_str();
    if let Some(status) = code.strip_prefix("PT") {
        return status.parse().ok().and_then(own_status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    }
    match code {
        "23503" | "23505" => StatusCode::CONFLICT,
        "25006" => StatusCode::METHOD_NOT_ALLOWED,
        // The caller asked of a view what its definition does not offer; PostgREST blames itself with a 500.
        "55000" if is_raised_by(error, &VIEW_WRITERS) => StatusCode::METHOD_NOT_ALLOWED,
        "53400" => StatusCode::INTERNAL_SERVER_ERROR,
        "57P01" => StatusCode::SERVICE_UNAVAILABLE,
        "P0001" => StatusCode::BAD_REQUEST,
        "42883" | "42P01" => StatusCode::NOT_FOUND,
        "42P17" => StatusCode::INTERNAL_SERVER_ERROR,
        "42501" if signed_in => StatusCode::FORBIDDEN,
        "42501" => StatusCode::UNAUTHORIZED,
        _ => match code.get(..2).unwrap_or_default() {
            "08" | "53" => StatusCode::SERVICE_UNAVAILABLE,
            "0L" | "0P" | "28" => StatusCode::FORBIDDEN,
            "09" | "25" | "2D" | "38" | "39" | "3B" | "40" | "55" | "57" | "58" | "F0" | "HV" | "P0"
            | "XX" => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        },
    }
}

fn is_raised_by(error: &PgError, routines: &[&str]) -> bool {
    error.routine.as_deref().is_some_and(|routine| routines.contains(&routine))
}

/// A written row did not pass a policy.
pub(crate) fn is_policy_violation(error: &PgError) -> bool {
    error.code == "42501" && is_raised_by(error, &[ROW_CHECK])
}

/// A setting did not take its text.
pub(crate) fn is_refused_setting(error: &PgError) -> bool {
    error.code == "22023" && is_raised_by(error, &[SETTING_CHECK])
}

/// A status chosen by SQL. Informational ones would break the exchange.
pub(super) fn own_status(number: u16) -> Option<StatusCode> {
    StatusCode::from_u16(number).ok().filter(|status| !status.is_informational())
}
