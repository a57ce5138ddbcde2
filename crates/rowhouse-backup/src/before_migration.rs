//! What there is to go back to when a migration turns out to be wrong: write-ahead log, else a dump that is made for it.
//!
//! Leaves naming the position in the log, and running the migrations, to the caller.

use rowhouse_db::{DbError, connect};
use rowhouse_kernel::settings::Settings;
use rowhouse_kernel::{Secret, SharedClock, SharedRng};
use rowhouse_module::{CannotRun, Project};

use crate::logical::{self, Dump};
use crate::manifest::BackupId;
use crate::settings::{BackupSettings, BeforeMigration};
use crate::source::{SlotState, Source, slot_state};
use crate::store::Store;

impl Wayback {
    /// The dump that was made.
    #[must_use]
    pub fn dump(&self) -> Option<&BackupId> {
        match self {
            Self::Dump(id) => Some(id),
            Self::Log | Self::None => None,
        }
    }
}

const LABEL: &str = "before a migration";

/// How to go back to the moment before a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wayback {
    /// The write-ahead log is kept: a restore to a time or a point.
    Log,
    /// By this dump, which was just made.
    Dump(BackupId),
    /// There is none.
    None,
}

/// Makes a dump where the settings want one, and says what there is otherwise.
///
/// # Errors
/// If the dump fails, with how to go without.
pub async fn before_migration(
    settings: &Settings,
    project: &Project,
    url: &Secret,
    clock: &SharedClock,
    rng: &SharedRng,
) -> Result<Wayback, CannotRun> {
    let backup = settings.get::<BackupSettings>();
    let source = Source::new(settings, Some(project), url, &**rng, clock)?;
    if is_logged(&source).await? {
        return Ok(Wayback::Log);
    }
    let is_wanted = match backup.before_migration {
        BeforeMigration::Off => false,
        BeforeMigration::On => true,
        BeforeMigration::Auto => settings.is_production() && backup.has_store(project.root()),
    };
    if !is_wanted {
        return Ok(Wayback::None);
    }
    let made = async {
        let store = Store::open(&backup, project, clock.clone(), rng.clone()).await?;
        let reason = "made before migrations, since no write-ahead log is kept";
        let dump = Dump { source: &source, url: backup.dump_url.as_ref(), label: LABEL, reason };
        logical::create(&store, project, &dump, clock).await
    };
    made.await.map(|made| Wayback::Dump(made.id)).map_err(|error| {
        CannotRun::because(format!(
            "no dump was made before the migrations, and nothing was applied: {error}; to go without one, set \
             backup.before_migration to \"off\""
        ))
    })
}

async fn is_logged(source: &Source) -> Result<bool, DbError> {
    let client = connect(&source.url).await?;
    let state = slot_state(&client, &source.slot).await?;
    Ok(!matches!(state, SlotState::Missing | SlotState::Lost))
}
