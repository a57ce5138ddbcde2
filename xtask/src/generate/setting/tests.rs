use super::{FOLDER, leftover, pages};

fn page(path: &str) -> String {
    let found = pages().into_iter().find(|(name, _)| name == path);
    found.unwrap_or_else(|| panic!("no page {path}")).1
}

#[test]
fn page_of_a_section_shows_name_type_unit_default_and_variables_of_each_setting() {
    let server = page("docs/configuration/server.md");
    for row in [
        "| `server.port` | whole number | – | `54321` | `ROWHOUSE_SERVER__PORT`, `PORT` |",
        "| `server.header_timeout` | duration | seconds | `30s` | `ROWHOUSE_SERVER__HEADER_TIMEOUT` |",
        "| `server.max_connections` | whole number | connections | `4096` |",
    ] {
        assert!(server.contains(row), "{row} in {server}");
    }
    let project = page("docs/configuration/top-level.md");
    assert!(project.contains("| `environment` | `development`, `production` | – |"), "{project}");
}

#[test]
fn page_of_a_section_says_what_production_refuses() {
    assert!(page("docs/configuration/server.md").contains("| `server.public_url` | not set, or not https"));
    assert!(page("docs/configuration/events.md").contains("Production refuses none"));
}

#[test]
fn index_leads_to_every_section() {
    let index = page("docs/configuration.md");
    for (path, _) in pages().into_iter().skip(1) {
        assert!(index.contains(&format!("({})", path.trim_start_matches("docs/"))), "{path} in {index}");
    }
}

#[test]
fn every_number_but_a_port_has_a_unit() {
    let groups = rowhouse::modules::modules().settings();
    let fields = groups.iter().flat_map(|group| (group.fields)());
    for field in fields.filter(|field| field.kind == "whole number" && field.unit.is_empty()) {
        assert!(field.name.ends_with("port"), "{} has no unit", field.name);
    }
}

#[test]
fn page_of_a_removed_section_is_left_over() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join(FOLDER)).unwrap();
    for name in ["server.md", "former.md"] {
        std::fs::write(folder.path().join(FOLDER).join(name), "x").unwrap();
    }
    assert_eq!(leftover(folder.path()), ["docs/configuration/former.md"]);
}
