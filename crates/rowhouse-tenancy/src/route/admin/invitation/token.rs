//! `/admin/v1/invitations`: what the holder of a letter's token can do. Tokens have 130 random bits; the limit of wrong
//! ones keeps those who try from the database.

use std::net::IpAddr;

use axum::Json;
use axum::extract::{Extension, State};
use rowhouse_db::Transaction;
use rowhouse_http::api::routing::post_with;
use rowhouse_http::api::{Body, Once, Problem, Routes, operation};
use rowhouse_http::limit::{AddressLimit, RateLimited, RateReport};
use rowhouse_http::{ClientAddress, Identity, LiveCaller};
use rowhouse_kernel::Origin;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_postgres::Client;

use super::InvitationAdmin;
use crate::flow::invitation::{self as flow, Accepted, InvitationError, Preview};

/// Longest token that is looked up, in bytes.
const MAX_TOKEN: usize = 100;

/// The paths below `/admin/v1/invitations`.
pub(crate) fn of_token() -> Routes<InvitationAdmin> {
    let previewed = operation(
        "previewInvitation",
        "What an invitation is about, for the holder of its token; needs no sign-in",
        &[400, 404, 409, 410, 429],
    );
    let accepted = operation(
        "acceptInvitation",
        "Become a member, as the user whose confirmed address is invited",
        &[400, 404, 409, 410, 422, 429],
    );
    Routes::default().at("/preview", post_with(preview, previewed)).at("/accept", post_with(accept, accepted))
}

/// Body with the token of a letter.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TokenBody {
    /// From the fragment of the letter's link.
    token: String,
}

/// Unknown tokens of a client.
struct Tries {
    limit: AddressLimit,
    address: IpAddr,
    report: RateReport,
}

impl Tries {
    /// Refuses an address with too many unknown tokens, and tokens that cannot be one.
    async fn begin(&self, token: &str) -> Result<(), Problem> {
        self.limit.look(self.address, &self.report).await.map_err(limited)?;
        match token.len() <= MAX_TOKEN {
            true => Ok(()),
            false => Err(self.count(InvitationError::NotFound).await),
        }
    }

    /// Counts an unknown token.
    async fn count(&self, error: InvitationError) -> Problem {
        if matches!(error, InvitationError::NotFound)
            && let Err(limit) = self.limit.check(self.address, &self.report).await
        {
            return limited(limit);
        }
        error.into()
    }
}

fn limited(limit: RateLimited) -> Problem {
    let text = "too many unknown tokens; try again later";
    Problem::new(http::StatusCode::TOO_MANY_REQUESTS, "over_request_rate_limit", text)
        .after(limit.retry_after)
}

async fn preview(
    State(admin): State<InvitationAdmin>,
    Extension(identity): Extension<Identity>,
    Extension(origin): Extension<Origin>,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    Extension(report): Extension<RateReport>,
    Body(TokenBody { token }): Body<TokenBody>,
) -> Result<Json<Preview>, Problem> {
    identity.caller().map_err(|error| Problem::unauthorized(format!("the token is refused: {error}")))?;
    let tries = Tries { limit: admin.tries.clone(), address, report };
    tries.begin(&token).await?;
    let find = async move |client: &Client| flow::preview(client, &token).await;
    let found = admin.control.statement(&origin.operation("tenancy.preview_invitation"), find).await;
    match found {
        Ok(found) => Ok(Json(found)),
        Err(error) => Err(tries.count(error).await),
    }
}

async fn accept(
    State(admin): State<InvitationAdmin>,
    caller: LiveCaller,
    Extension(origin): Extension<Origin>,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    Extension(report): Extension<RateReport>,
    once: Once,
    Body(TokenBody { token }): Body<TokenBody>,
) -> Result<Json<Accepted>, Problem> {
    let tries = Tries { limit: admin.tries.clone(), address, report };
    tries.begin(&token).await?;
    let operation = origin.operation("tenancy.accept_invitation");
    let accept =
        async move |tx: &Transaction<'_>| match flow::accept(tx, &caller, &token, origin.address).await {
            Ok(accepted) => once.keep(tx, Json(accepted)).await,
            Err(error) => Err(tries.count(error).await),
        };
    admin.control.run_tx(&operation, accept).await
}
