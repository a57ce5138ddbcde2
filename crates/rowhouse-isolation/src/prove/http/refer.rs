//! References to rows of the attacked tenant, over HTTP. The caller's row may need the key of the owner's, which is deleted before
//! and stays so: relations come before those that they refer to, and nothing else is tried afterwards.

use rowhouse_db::DbError;
use rowhouse_module::CannotRun;
use tokio_postgres::Client;

use super::super::judge::{Judged, Trial};
use super::super::model::Scope;
use super::super::row::order;
use super::super::scene::OWNER;
use super::super::stage::Stage;
use super::super::target::Target;
use super::request::referring;
use super::send;
use super::service::Service;

/// All of it, by the name of the relation.
pub(super) async fn attack(
    client: &Client,
    service: &Service,
    stage: &Stage,
) -> Result<Vec<(String, Judged)>, CannotRun> {
    let (mut all, mut removed) = (Vec::new(), Vec::new());
    for at in order(&stage.catalog.relations).into_iter().rev() {
        let (relation, declared) = (&stage.catalog.relations[at], &stage.declared[at].1);
        let rows = stage.rows(at);
        let mut private = stage.private_references(at);
        // In a circle the row that would be referred to may be gone.
        private.retain(|reference| !removed.contains(&&reference.parent));
        let is_of_interest = relation.is_granted() && declared.scope != Scope::Nobody && !private.is_empty();
        let Some(row) = rows.of.get(&OWNER).filter(|_| is_of_interest) else { continue };
        let (owned, clearing) = (stage.owned(client, at).await?, stage.clearing(&relation.name));
        let target =
            Target { maker: stage.maker(at), recipe: &rows.recipe, row, owned: &owned, clearing, private };
        let (tree, others) = target.references();
        let tried = |references: &[_]| {
            let attempts =
                stage.callers(at).flat_map(|(index, actor)| referring(&target, references, index, actor));
            attempts.collect::<Vec<_>>().into_iter()
        };
        let mut sent = send(service, tried(&tree)).await?;
        if !others.is_empty() {
            remove(client, &target).await?;
            removed.push(&relation.name);
            sent.extend(send(service, tried(&others)).await?);
        }
        let trial = Trial { relation, actors: &stage.scene.actors, is_private: true, tried: &sent };
        all.push((relation.name.clone(), trial.judge()));
    }
    Ok(all)
}

/// Where the project keeps it from being deleted, a reference with the same key is refused for that, and reported as unproven.
async fn remove(client: &Client, target: &Target<'_>) -> Result<(), DbError> {
    match client.batch_execute(&target.removal()).await.map_err(DbError::from) {
        Err(error) if error.code().is_none() => Err(error),
        _ => Ok(()),
    }
}
