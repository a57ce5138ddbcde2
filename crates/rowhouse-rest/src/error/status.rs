//! Maps SQLSTATEs to HTTP statuses, as PostgREST does. Leaves the body to [`super::database`].
//!
//! Messages are not used, since they depend on the server's language (`lc_messages`). Where one SQLSTATE has several
//! causes, the name of the server's C function (`routine`) distinguishes them.

use http::StatusCode;
use rowhouse_db::PgError;

/// The server's functions that refuse to write to a view; the first since PostgreSQL 17.
const VIEW_WRITERS: [&str; 3] = ["error_view_not_updatable", "rewriteTargetView", "CheckValidResultRel"];
/// The server's function that checks written rows against policies and `with check option`.
const ROW_CHECK: &str = "ExecWithCheckOptions";
/// The server's function behind PL/pgSQL's `raise`.
const RAISE: &str = "exec_stmt_raise";
/// The server's function that validates a setting.
const SETTING_CHECK: &str = "call_string_check_hook";

/// The status for what the database refused; for missing privileges it depends on whether the caller is signed in.
pub(super) fn status(error: &PgError, signed_in: bool) -> StatusCode {
    let code = error.code.as_str();
    if let Some(status) = code.strip_prefix("PT") {
        return status.parse().ok().and_then(own_status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    }
    match code {
        "23503" | "23505" => StatusCode::CONFLICT,
        "25006" => StatusCode::METHOD_NOT_ALLOWED,
        // The view is not updatable, so the method is not allowed; PostgREST answers 500.
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

/// SQL of the project or the platform has refused it by `raise`.
pub(crate) fn is_raised(error: &PgError) -> bool {
    is_raised_by(error, &[RAISE])
}

/// The value of a setting was refused.
pub(crate) fn is_refused_setting(error: &PgError) -> bool {
    error.code == "22023" && is_raised_by(error, &[SETTING_CHECK])
}

/// A status set by SQL. Informational ones would break the HTTP exchange.
pub(super) fn own_status(number: u16) -> Option<StatusCode> {
    StatusCode::from_u16(number).ok().filter(|status| !status.is_informational())
}
