use rowhouse_kernel::settings::{GroupSpec, Settings, Sources};

use super::ServerSettings;

fn load(toml: &str) -> Result<Settings, Vec<String>> {
    Settings::load(&[GroupSpec::of::<ServerSettings>()], &mut Sources::new(&format!("[server]\n{toml}"), []))
}

#[test]
fn alias_must_be_a_path_that_nothing_else_answers() {
    for alias in ["/storage/v1", "/", "", "api", "/api/{x}", "/api//v1", "/portal/"] {
        let mistakes = load(&format!("rest_alias = \"{alias}\"")).unwrap_err();
        assert!(
            mistakes.len() == 1 && mistakes[0].starts_with("server.rest_alias: "),
            "{alias}: {mistakes:?}"
        );
    }
    for alias in ["/api", "/api/", "/api/v1"] {
        assert!(load(&format!("rest_alias = \"{alias}\"")).is_ok(), "{alias}");
    }
}

#[test]
fn timeouts_of_nothing_are_mistakes() {
    assert_eq!(
        load("header_timeout = 0\nrequest_timeout = \"0ms\"\ndrain_timeout = 0").unwrap_err().len(),
        2
    );
}
