use std::process::Command;

use super::{exchange, fetch_command, require_version};
use crate::manifest::BackupId;

#[test]
fn file_that_is_missing_ends_the_log_and_one_that_cannot_be_read_ends_recovery() {
    let folder = tempfile::tempdir().unwrap();
    let wal = folder.path().join("a wal");
    let fetch = |name: &str| {
        let to = folder.path().join("to");
        let command = fetch_command(&wal).replace("%f", name).replace("%p", to.to_str().unwrap());
        Command::new("sh").arg("-c").arg(command).stderr(std::process::Stdio::null()).status().unwrap().code()
    };
    assert_eq!(fetch("000000010000000000000001"), Some(254), "the folder itself is missing");
    std::fs::create_dir(&wal).unwrap();
    assert_eq!(fetch("000000010000000000000001"), Some(1));
    std::fs::write(wal.join("000000010000000000000001"), "log").unwrap();
    assert_eq!(fetch("000000010000000000000001"), Some(0));
    std::fs::create_dir(wal.join("000000010000000000000002")).unwrap();
    assert_eq!(fetch("000000010000000000000002"), Some(254), "cp cannot read it");
}

#[test]
fn restored_data_take_the_place_of_the_former_ones_which_stay_aside() {
    let folder = tempfile::tempdir().unwrap();
    let [restored, data, aside] =
        ["data.restoring", "data", "data.before-1"].map(|name| folder.path().join(name));
    for (place, what) in [(&restored, "new"), (&data, "old")] {
        std::fs::create_dir(place).unwrap();
        std::fs::write(place.join("mark"), what).unwrap();
    }
    let between = folder.path().join("data.restored-1");
    exchange(&restored, &data, (&between, &aside)).unwrap();
    let read = |place: &std::path::Path| std::fs::read_to_string(place.join("mark")).unwrap();
    assert_eq!((read(&data), read(&aside), restored.exists()), ("new".to_owned(), "old".to_owned(), false));
    assert!(!between.exists());

    // Interrupted before the last step: what is restored is never called the former data.
    std::fs::create_dir(&restored).unwrap();
    std::fs::write(restored.join("mark"), "newer").unwrap();
    exchange(&restored, &data, (&between, &aside)).unwrap_err();
    assert_eq!([&data, &between, &aside].map(|place| read(place)), ["newer", "new", "old"]);
}

#[test]
fn version_of_postgresql_that_is_not_installed_is_named() {
    let id = BackupId::parse("20261128T020000Z-3f2a9c").unwrap();
    let why = require_version("99.1 (Debian 99.1-1)", &id).unwrap_err().to_string();
    assert!(why.contains("99") && why.contains("20261128T020000Z-3f2a9c"), "{why}");
}
