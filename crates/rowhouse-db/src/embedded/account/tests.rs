use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use super::Account;

#[test]
fn folder_is_never_taken_through_a_link() {
    let place = tempfile::tempdir().unwrap();
    let (victim, link) = (place.path().join("victim"), place.path().join("pg"));
    std::fs::create_dir(&victim).unwrap();
    std::fs::set_permissions(&victim, std::fs::Permissions::from_mode(0o755)).unwrap();
    symlink(&victim, &link).unwrap();
    let before = victim.metadata().unwrap();
    assert!(Account::choose().unwrap().own_folder(&link).is_err());
    let after = victim.metadata().unwrap();
    assert_eq!((before.uid(), before.mode()), (after.uid(), after.mode()));
}

/// Only root can create the folder that this refuses.
#[test]
fn folder_of_a_third_account_is_refused_and_left_alone() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("pg");
    std::fs::create_dir(&folder).unwrap();
    if std::os::unix::fs::chown(&folder, Some(54_321), Some(54_321)).is_err() {
        return;
    }
    let error = Account::choose().unwrap().own_folder(&folder).unwrap_err().to_string();
    assert!(error.contains("belongs to 54321"), "{error}");
    assert_eq!(folder.metadata().unwrap().uid(), 54_321);
}
