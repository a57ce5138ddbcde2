use std::time::Duration;

use super::{
    AuthSettings, DbSettings, GroupSpec, JobsSettings, LogSettings, ProjectSettings, RestSettings,
    ServerSettings, Settings, Source, Sources,
};

pub(super) fn groups() -> Vec<GroupSpec> {
    vec![
        GroupSpec::of::<ProjectSettings>(),
        GroupSpec::of::<ServerSettings>(),
        GroupSpec::of::<DbSettings>(),
        GroupSpec::of::<AuthSettings>(),
        GroupSpec::of::<RestSettings>(),
        GroupSpec::of::<JobsSettings>(),
        GroupSpec::of::<LogSettings>(),
    ]
}

fn load(file: &str, variables: &[(&str, &str)]) -> (Result<Settings, Vec<String>>, Sources) {
    let mut sources = Sources::new(file, variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
    (Settings::load(&groups(), &mut sources), sources)
}

#[test]
fn five_mistakes_are_reported_as_five() {
    let file = r#"
environment = "prod"
[server]
port = "many"
prot = 1
[db]
acquire_timeout = "soon"
[log]
level = 3
"#;
    let mistakes = load(file, &[]).0.unwrap_err();
    assert_eq!(mistakes.len(), 5, "{mistakes:#?}");
    for name in ["environment", "server.port", "server.prot", "db.acquire_timeout", "log.level"] {
        assert!(mistakes.iter().any(|m| m.starts_with(&format!("{name}:"))), "{name} in {mistakes:#?}");
    }
}

#[test]
fn environment_wins_over_file_and_file_over_default() {
    let (settings, sources) = load("[server]\nport = 1\nhost = \"a\"", &[("ROWHOUSE_SERVER__PORT", "2")]);
    let settings = settings.unwrap();
    assert_eq!(
        (settings.get::<ServerSettings>().port, settings.get::<ServerSettings>().host.as_str()),
        (2, "a")
    );
    assert_eq!(settings.get::<ServerSettings>().header_timeout, Duration::from_secs(30));
    let source = |name: &str| sources.effective().iter().find(|e| e.name == name).unwrap().source.clone();
    assert_eq!(source("server.port"), Source::Variable("ROWHOUSE_SERVER__PORT".to_owned()));
    assert_eq!(source("server.host"), Source::File);
    assert_eq!(source("server.max_connections"), Source::Default);
}

#[test]
fn secret_is_read_from_a_file_and_masked() {
    let path = std::env::temp_dir().join(format!("rowhouse-secret-{}", std::process::id()));
    std::fs::write(&path, "s3cret\n").unwrap();
    let (settings, sources) = load("", &[("ROWHOUSE_AUTH__KEY_SECRET_FILE", path.to_str().unwrap())]);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(settings.unwrap().get::<AuthSettings>().key_secret.clone().unwrap().expose(), "s3cret");
    let shown = sources.effective().iter().find(|e| e.name == "auth.key_secret").unwrap();
    assert_eq!(shown.value, "********");
}

#[test]
fn unknown_variable_is_a_mistake() {
    let mistakes = load("", &[("ROWHOUSE_AUTH__JWT_SECRTE", "x")]).0.unwrap_err();
    assert_eq!(mistakes, ["ROWHOUSE_AUTH__JWT_SECRTE: no such setting in the environment"]);
}

#[test]
fn broken_toml_is_one_clear_mistake() {
    let mistakes = load("[server\nport = 1", &[]).0.unwrap_err();
    assert_eq!(mistakes.len(), 1);
    assert!(mistakes[0].starts_with("rowhouse.toml: "));
}

#[test]
fn every_field_is_documented() {
    for GroupSpec { about, fields, .. } in groups() {
        let fields = fields();
        assert!(!about.trim().is_empty());
        for field in fields {
            assert!(field.doc.trim().ends_with('.'), "{} needs a sentence", field.name);
        }
    }
}

#[test]
fn alias_that_collides_and_spans_that_cannot_work_are_mistakes() {
    for alias in ["/storage/v1", "/", "", "api", "/api/{x}", "/api//v1", "/portal/"] {
        let mistakes = load(&format!("[server]\nrest_alias = \"{alias}\""), &[]).0.unwrap_err();
        assert!(
            mistakes.len() == 1 && mistakes[0].starts_with("server.rest_alias: "),
            "{alias}: {mistakes:?}"
        );
    }
    for alias in ["/api", "/api/", "/api/v1"] {
        assert!(load(&format!("[server]\nrest_alias = \"{alias}\""), &[]).0.is_ok(), "{alias}");
    }
    let file = "[server]\nheader_timeout = 0\n[auth]\naccess_token_lifetime = \"999999999999d\"\n[db]\nstatement_timeout = \"0ms\"";
    assert_eq!(load(file, &[]).0.unwrap_err().len(), 3);
}

#[test]
fn trace_header_must_be_a_name_that_frames_nothing() {
    for name in ["", "two words", "x:y", "Content-Length", "transfer-encoding", "connection", "grün"] {
        let mistakes = load(&format!("[rest]\ntrace_header = \"{name}\""), &[]).0.unwrap_err();
        assert!(
            mistakes.len() == 1 && mistakes[0].starts_with("rest.trace_header: "),
            "{name}: {mistakes:?}"
        );
    }
    assert!(load("[rest]\ntrace_header = \"X-Request-Id\"", &[]).0.is_ok());
}

#[test]
fn variables_of_a_kubernetes_service_are_passed_over_and_near_misses_refused() {
    let service = [
        ("ROWHOUSE_SERVICE_HOST", "10.96.0.12"),
        ("ROWHOUSE_SERVICE_PORT", "80"),
        ("ROWHOUSE_SERVICE_PORT_HTTP", "80"),
        ("ROWHOUSE_PORT", "tcp://10.96.0.12:80"),
        ("ROWHOUSE_PORT_80_TCP", "tcp://10.96.0.12:80"),
        ("ROWHOUSE_PORT_80_TCP_PROTO", "tcp"),
        ("ROWHOUSE_PORT_80_TCP_PORT", "80"),
        ("ROWHOUSE_PORT_80_TCP_ADDR", "10.96.0.12"),
    ];
    assert!(load("", &service).0.is_ok());
    for near in [
        "ROWHOUSE_SERVER__PROT",
        "ROWHOUSE_PORT_80",
        "ROWHOUSE_PORTS",
        "ROWHOUSE_SERVICE_PORT_",
        "ROWHOUSE_SERVICE_NAME",
    ] {
        let mistakes = load("", &[(near, "1")]).0.unwrap_err();
        assert_eq!(mistakes, [format!("{near}: no such setting in the environment")]);
    }
}
