//! `/admin/v1/flags`: flags and their overrides, for the service key and operators of role super_admin; and what the public ones are for a signed-in user.

mod administer;
mod caller;
mod mine;
mod overrides;

use std::sync::Arc;

use axum::extract::FromRef;
use rowhouse_db::Control;
use rowhouse_http::api::routing::{get_with, put_with};
use rowhouse_http::api::{Problem, Routes, operation};

use crate::flow::FlagError;
use crate::memory::Flags;

/// Longest page.
const MOST_LISTED: u32 = 1000;

/// State of the routes.
#[derive(Clone)]
pub(crate) struct FlagAdmin {
    pub(crate) control: Control,
    pub(crate) flags: Arc<Flags>,
}

impl FromRef<FlagAdmin> for Control {
    fn from_ref(admin: &FlagAdmin) -> Self {
        admin.control.clone()
    }
}

impl From<FlagError> for Problem {
    fn from(error: FlagError) -> Self {
        match error {
            FlagError::NoFlag | FlagError::NoOverride | FlagError::NoSubject(_) => {
                Self::not_found(error.to_string())
            }
            FlagError::Taken | FlagError::InUse { .. } => Self::conflict(error.to_string()),
            FlagError::Invalid(why) => Self::invalid(why),
            FlagError::Db(error) => error.into(),
        }
    }
}

/// The paths below `/admin/v1/flags`.
pub(crate) fn routes() -> Routes<FlagAdmin> {
    let list = operation("listFlags", "List flags by name", &[400, 422]);
    let create = operation("createFlag", "Make a flag", &[400, 409, 422]);
    let show = operation("getFlag", "A flag", &[400, 404, 422]);
    let change = operation(
        "changeFlag",
        "Change a flag; needs the version that was seen",
        &[400, 404, 409, 412, 422, 428],
    );
    let delete = operation("deleteFlag", "Delete a flag with its rules and overrides", &[400, 404, 422]);
    let evaluate = operation("evaluateFlag", "What a flag is for a subject, and why", &[400, 404, 422]);
    let mine = operation("listMyFlags", "What the public flags are for the caller", &[]);
    let listed = operation("listFlagOverrides", "List a flag's overrides", &[400, 404, 422]);
    let set = operation(
        "setFlagOverride",
        "Set a flag for one user, tenant or organization: `user:ID`, `tenant:ID` or `organization:ID`",
        &[400, 404, 422],
    );
    let unset = operation("removeFlagOverride", "Remove an override", &[400, 404, 422]);
    Routes::default()
        .at("/", get_with(administer::list, list).post_with(administer::create, create))
        .at("/mine", get_with(mine::list, mine))
        .at(
            "/{flag}",
            get_with(administer::show, show)
                .patch_with(administer::change, change)
                .delete_with(administer::delete, delete),
        )
        .at("/{flag}/evaluate", get_with(administer::evaluate, evaluate))
        .at("/{flag}/overrides", get_with(overrides::list, listed))
        .at(
            "/{flag}/overrides/{subject}",
            put_with(overrides::set, set).delete_with(overrides::remove, unset),
        )
}
