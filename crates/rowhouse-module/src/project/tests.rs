use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use super::Project;

#[test]
fn private_folder_of_another_account_is_refused_and_left_alone() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join(".rowhouse");
    std::fs::create_dir(&folder).unwrap();
    // Only root can create the folder that this refuses.
    if std::os::unix::fs::chown(&folder, Some(54_321), Some(54_321)).is_err() {
        return;
    }
    let refused = Project::open(place.path()).unwrap().ensure_private().unwrap_err().to_string();
    assert!(refused.contains("belongs to another account"), "{refused}");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
}

#[test]
fn private_file_is_replaced_whole_and_never_through_a_link() {
    let place = tempfile::tempdir().unwrap();
    let project = Project::open(place.path()).unwrap();
    project.ensure_private().unwrap();
    project.ensure_private().unwrap();
    let victim = place.path().join("victim");
    std::fs::write(&victim, "untouched").unwrap();
    for name in ["state.json", "state.json.new"] {
        symlink(&victim, project.private(name)).unwrap();
    }
    project.write_private("state.json", b"new").unwrap();
    assert_eq!(std::fs::read(project.private("state.json")).unwrap(), b"new");
    assert_eq!(std::fs::read(&victim).unwrap(), b"untouched");
    let written = project.private("state.json").symlink_metadata().unwrap();
    assert!(written.is_file() && written.permissions().mode() & 0o777 == 0o600 && written.nlink() == 1);
    assert!(!project.private("state.json.new").exists());
}

#[test]
fn hints_name_the_folder_as_a_shell_takes_it_unless_it_is_the_current_one() {
    let place = tempfile::Builder::new().prefix("my saas").tempdir().unwrap();
    let project = Project::open(place.path()).unwrap();
    assert_eq!(project.dir_option(), format!(" --dir '{}'", project.root().display()));
    let here = std::env::current_dir().unwrap();
    assert_eq!(Project::open(&here).unwrap().dir_option(), "");
    assert_eq!(Project::open(&here.join("src")).unwrap().dir_option(), " --dir src");
}
