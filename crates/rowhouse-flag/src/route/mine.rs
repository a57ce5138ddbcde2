//! What the public flags are for the caller, from memory.

use axum::Json;
use axum::extract::State;
use rowhouse_http::LiveCaller;
use schemars::JsonSchema;
use serde::Serialize;

use super::FlagAdmin;
use crate::evaluate::Subject;

/// The public flags.
#[derive(Serialize, JsonSchema)]
pub(super) struct MyFlags {
    items: Vec<MyFlag>,
}

/// What a flag is for the caller.
#[derive(Serialize, JsonSchema)]
pub(super) struct MyFlag {
    name: String,
    enabled: bool,
    /// Null if it is off or has no variants.
    variant: Option<String>,
}

pub(super) async fn list(State(admin): State<FlagAdmin>, caller: LiveCaller) -> Json<MyFlags> {
    let of = |(name, evaluation): (String, crate::Evaluation)| MyFlag {
        name,
        enabled: evaluation.is_on,
        variant: evaluation.variant,
    };
    Json(MyFlags { items: admin.flags.public(&Subject::of(&caller)).into_iter().map(of).collect() })
}
