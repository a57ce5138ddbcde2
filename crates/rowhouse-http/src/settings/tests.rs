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

#[test]
fn ipv6_host_is_read_with_and_without_brackets() {
    for (host, bare, authority, url) in [
        ("[::1]", "::1", "[::1]:54321", "http://[::1]:54321"),
        ("::1", "::1", "[::1]:54321", "http://[::1]:54321"),
        ("::", "::", "[::]:54321", "http://[::1]:54321"),
        ("0.0.0.0", "0.0.0.0", "0.0.0.0:54321", "http://127.0.0.1:54321"),
        ("localhost", "localhost", "localhost:54321", "http://localhost:54321"),
    ] {
        let settings = load(&format!("host = \"{host}\"")).unwrap();
        let server = settings.get::<ServerSettings>();
        assert_eq!(
            (server.bare_host(), server.authority(), server.local_url()),
            (bare, authority.to_owned(), url.to_owned())
        );
    }
}
