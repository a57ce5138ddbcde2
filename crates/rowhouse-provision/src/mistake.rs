//! What the provisioning of the next tenant would run into, as only the database knows. Leaves saying so to whoever starts.

use rowhouse_auth::hook_mistake;
use rowhouse_db::DbError;
use tokio_postgres::Client;

use crate::settings::ProvisionSettings;

/// A hook whose function cannot be called and a plan that does not exist: each by its setting, with the remedy.
///
/// # Errors
/// If the database cannot be asked.
pub async fn mistakes(client: &Client, settings: &ProvisionSettings) -> Result<Vec<String>, DbError> {
    let mut found = Vec::new();
    if let Some(target) = settings.target()
        && let Some(mistake) = hook_mistake(client, &target).await?
    {
        found.push(format!("provisioning.hook: {mistake}"));
    }
    if let Some(plan) = &settings.plan {
        let sql = "select exists (select from tenancy.plans where name = $1)";
        let exists: bool = client.query_one(sql, &[plan]).await?.get(0);
        if !exists {
            found.push(format!(
                "provisioning.plan: there is no plan {plan:?}; `rowhouse plans set` makes it, `rowhouse plans list` names those there are"
            ));
        }
    }
    Ok(found)
}
