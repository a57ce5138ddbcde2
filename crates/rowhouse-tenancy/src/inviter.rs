//! Invitations for crates above: many at a time, by operators. Leaves what an invitation is to `flow`.

use rowhouse_http::api::Problem;
use rowhouse_kernel::{Caller, OrganizationId};
use tokio_postgres::Client;
use uuid::Uuid;

use crate::flow::invitation::{Invitations, read_address};
use crate::store::invitation::NewInvitation;

/// Makes invitations; a value that the module provides. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Inviter(pub(crate) Invitations);

impl Inviter {
    /// Invites an address to an organization with a role there: an invitation of this id and its letter.
    ///
    /// # Errors
    /// Those of `POST /admin/v1/organizations/{organization}/invitations`.
    pub async fn invite(
        &self,
        tx: &Client,
        caller: &Caller,
        organization: OrganizationId,
        (id, email, role): (Uuid, &str, &str),
    ) -> Result<(), Problem> {
        let email = &read_address(email)?;
        let lifetime = self.0.settings.invitation_lifetime;
        let new = NewInvitation { id, email, role, tenants: &[], products: &[], language: None, lifetime };
        self.0.create(tx, caller, organization, &new).await?;
        Ok(())
    }
}
