//! The page that a link in a mail shows.

use axum::response::Response;

use super::page::{self, Words, is_german};

/// The page, in German or English. It holds nothing of the request.
pub(super) fn show(language: Option<&str>) -> Response {
    let english = ("Confirm", "One step is left: go on with this button.", "Go on");
    let german = ("Bestätigen", "Ein Schritt fehlt noch: weiter geht es mit dieser Taste.", "Weiter");
    let (title, text, button) = if is_german(language) { german } else { english };
    page::show(language, &Words { title, text: text.to_owned(), button })
}
