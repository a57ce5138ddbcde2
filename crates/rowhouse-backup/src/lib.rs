#![doc = include_str!("../README.md")]

mod age;
mod base;
mod before_migration;
mod blob;
mod checksum;
mod chunk;
mod command;
mod copy;
mod coverage;
mod document;
mod drill;
mod error;
mod interrupt;
mod key;
mod key_file;
mod logical;
mod lsn;
mod manifest;
mod method;
mod module;
mod pgbackrest;
mod progress;
mod prune;
mod receiver;
mod restore;
mod retention;
mod schedule;
mod secure;
mod settings;
mod source;
mod standing;
mod state;
mod store;
mod tar;
mod tenant;
mod throwaway;
mod trouble;
mod verify;
mod wal;

pub use age::{Identity, Recipient};
pub use before_migration::{Wayback, before_migration};
pub use error::StoreError;
pub use key::Keys;
pub use key_file::drill_key;
pub use lsn::{Lsn, parse_segment_name, segment_name};
pub use manifest::{BackupId, BackupKind, Manifest, ObjectEntry};
pub use module::BackupModule;
pub use prune::Pruned;
pub use settings::{Adapter, BackupMethod, BackupSettings, BeforeMigration};
pub use standing::standing;
pub use state::require_whole;
pub use store::{
    BackupReader, BackupState, BackupWriter, Condition, Deed, Finish, Listed, ObjectReader, ObjectWriter,
    Point, Record, Start, Store, WalFile, WalStore, ensure_server_key, find_server_key,
};
pub use verify::{Checked, Closed, Damage, Verification};
