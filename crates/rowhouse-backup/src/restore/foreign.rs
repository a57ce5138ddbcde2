//! A cluster whose files another program has restored, with the configuration to replay its log: lets it do so, and makes it the
//! project's own.

use std::collections::BTreeMap;

use rowhouse_db::DbError;
use rowhouse_db::embedded::{Account, ClusterPaths, Temporary};
use rowhouse_kernel::Rng;
use rowhouse_module::{CannotRun, Project, Secrets};

use super::{Libraries, config, outside, subscription};
use crate::base::{Details, copy_files};
use crate::state;

/// The superuser of clusters of every distribution.
const SUPERUSER: &str = "postgres";

/// Which copy it becomes.
pub(crate) struct Copy<'a> {
    /// The project's database in it.
    pub(crate) database: &'a str,
    /// What it was restored from.
    pub(crate) of: &'a str,
}

/// What became of it.
pub(crate) struct Adopted {
    /// What was renamed in it.
    pub(crate) renamed: Option<String>,
    /// Those that were disabled.
    pub(crate) subscriptions: Vec<String>,
    /// Those that its configuration names.
    pub(crate) libraries: Libraries,
}

/// Replays, gives the copy its configuration, and shuts it down. `from` is the project whose files and keys it gets.
pub(crate) async fn adopt(
    (paths, account): (&ClusterPaths, &Account),
    (from, project): (&Project, &Project),
    copy: &Copy<'_>,
    rng: &dyn Rng,
) -> Result<Adopted, CannotRun> {
    copy_files(from, project)?;
    let secrets = Secrets::ensure(project, rng)?;
    let details = Details {
        superuser: SUPERUSER.to_owned(),
        database: copy.database.to_owned(),
        is_embedded: false,
        settings: BTreeMap::new(),
        tablespaces: Vec::new(),
    };
    config::write(&paths.data, &details, true, account)?;
    // A standby that answers would have to be as large as the original, and nobody asks it.
    let mut server = Temporary::start(paths, account, &[("hot_standby", "off".to_owned())])?;
    let done = async {
        let client = server.promoted(SUPERUSER).await?;
        let project = rowhouse_db::connect(&server.url(SUPERUSER, copy.database)).await?;
        state::mark_copy(&project, copy.of).await?;
        let subscriptions = subscription::disable(&client, (&server, SUPERUSER)).await?;
        let libraries = Libraries::find(&client).await?;
        client.batch_execute("checkpoint").await.map_err(DbError::from)?;
        drop((client, project));
        let renamed = outside::prepare(&mut server, (SUPERUSER, copy.database), &secrets).await?;
        Ok(Adopted { renamed, subscriptions, libraries })
    };
    let done = done.await;
    server.stop().await;
    let _of_the_server_that_was_stopped = std::fs::remove_file(paths.home.join("access.conf"));
    done
}
