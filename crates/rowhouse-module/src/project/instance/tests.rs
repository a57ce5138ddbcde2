use std::os::unix::fs::PermissionsExt;

use uuid::Uuid;

use super::{FOLDER, Instance};
use crate::Project;

fn instance(pid: u32) -> Instance {
    let settings = [("server.port".to_owned(), pid.to_string())].into();
    Instance { pid, command: "serve".to_owned(), address: "127.0.0.1:1".parse().ok(), settings }
}

fn files(project: &Project) -> usize {
    std::fs::read_dir(project.private(FOLDER)).unwrap().count()
}

#[test]
fn instances_are_listed_for_as_long_as_they_run() {
    let folder = tempfile::tempdir().unwrap();
    let project = Project::open(folder.path()).unwrap();
    assert_eq!(Instance::running(&project), []);
    let second = instance(2).record(&project, Uuid::from_u128(1)).unwrap();
    let first = instance(1).record(&project, Uuid::from_u128(2)).unwrap();
    assert_eq!(Instance::running(&project), [instance(1), instance(2)]);
    let mode = std::fs::metadata(&first.path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    drop(second);
    assert_eq!(Instance::running(&project), [instance(1)]);
    drop(first);
    assert_eq!((Instance::running(&project), files(&project)), (vec![], 0));
}

#[test]
fn file_of_a_killed_process_is_passed_over_and_removed_by_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let project = Project::open(folder.path()).unwrap();
    let kept = instance(1).record(&project, Uuid::from_u128(1)).unwrap();
    // Nobody holds the copy's lock, as after a kill.
    std::fs::copy(&kept.path, project.private(FOLDER).join("left.json")).unwrap();
    assert_eq!(Instance::running(&project), [instance(1)]);
    let _next = instance(2).record(&project, Uuid::from_u128(2)).unwrap();
    assert_eq!((Instance::running(&project), files(&project)), (vec![instance(1), instance(2)], 2));
}

#[test]
fn file_of_an_older_release_is_read() {
    let read: Instance = serde_json::from_str(r#"{ "pid": 7, "settings": {} }"#).unwrap();
    assert_eq!((read.command.as_str(), read.address), ("", None));
}
