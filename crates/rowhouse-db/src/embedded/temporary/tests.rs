use std::io::Write;
use std::time::Duration;

use rowhouse_kernel::Secret;
use tempfile::TempDir;

use super::Temporary;
use crate::embedded::{Account, ClusterPaths, create_restoring};

/// A cluster with a library that is nowhere, which each session is to load.
fn cluster() -> (TempDir, ClusterPaths, Account) {
    // Short, and outside of what only root may enter.
    let folder = tempfile::Builder::new().prefix("rht-").tempdir_in("/tmp").unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open).unwrap();
    std::fs::create_dir(folder.path().join(".rowhouse")).unwrap();
    let (paths, account) = create_restoring(folder.path(), &Secret::new("test".to_owned())).unwrap();
    let settings = paths.data.join("postgresql.conf");
    let mut settings = std::fs::OpenOptions::new().append(true).open(settings).unwrap();
    settings.write_all(b"session_preload_libraries = 'gone'\nlocal_preload_libraries = 'gone'\n").unwrap();
    (folder, paths, account)
}

#[tokio::test]
async fn libraries_of_sessions_are_not_loaded_and_a_lasting_refusal_is_reported() {
    let (_folder, paths, account) = cluster();
    let mut server = Temporary::start(&paths, &account, &[]).unwrap();
    server.connect("postgres").await.unwrap();
    let refusal = server.connect_within("no\u{e9} body", Duration::ZERO).await.unwrap_err().to_string();
    assert!(refusal.contains("no\u{e9} body"), "{refusal}");
    let login = crate::url::read(&server.url("a/b", "my app%41")).unwrap();
    assert_eq!((login.get_user(), login.get_dbname()), (Some("a/b"), Some("my app%41")));
    server.stop().await;
}
