#![expect(unreachable_pub, reason = "the macro declares public groups")]

use std::collections::BTreeMap;
use std::time::Duration;

use super::value::words;
use super::{
    Check, Findings, GroupSpec, ProjectSettings, Settings, Source, Sources, Translated, Translation,
};
use crate::Secret;

settings! {
    /// A group as a crate above declares it.
    pub struct ServerSettings in "server" {
        /// Address.
        pub host: String = "127.0.0.1".to_owned(),
        /// Port.
        pub port: u16 = 54321,
        /// How long heads may take.
        pub header_timeout: Duration = Duration::from_secs(30),
        /// Key.
        pub token: Option<Secret> = None,
    }
}

words! {
    /// How much is logged.
    pub enum LogLevel {
        /// Little.
        Warn = "warn",
        /// Much.
        Debug = "debug",
    }
}

settings! {
    /// A group with words.
    pub struct LogSettings in "log" {
        /// How much is logged.
        pub level: LogLevel = LogLevel::Warn,
    }
}

impl Check for LogSettings {}

impl Check for ServerSettings {
    const ALIASES: &'static [(&'static str, &'static str)] = &[("PORT", "port"), ("TOKEN", "token")];

    /// `OTHER_HOST` is the host; anything else of that tool has no effect.
    fn translate(variables: &BTreeMap<String, String>) -> Translation {
        let mut translation = Translation::default();
        for (name, value) in variables.iter().filter(|(name, _)| name.starts_with("OTHER_")) {
            match name.as_str() {
                "OTHER_HOST" => translation.given.push(given(name, value)),
                _ => translation.notes.push(format!("{name} has no effect")),
            }
        }
        translation
    }

    fn check(&self, findings: &mut Findings<'_>) {
        findings.positive_span("header_timeout", self.header_timeout);
    }
}

fn given(origin: &str, host: &str) -> Translated {
    Translated { key: ("server", "host"), text: Ok(host.to_owned()), origin: origin.to_owned() }
}

fn groups() -> Vec<GroupSpec> {
    vec![
        GroupSpec::of::<ProjectSettings>(),
        GroupSpec::of::<ServerSettings>(),
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
header_timeout = "soon"
[log]
level = 3
"#;
    let mistakes = load(file, &[]).0.unwrap_err();
    assert_eq!(mistakes.len(), 5, "{mistakes:#?}");
    for name in ["environment", "server.port", "server.prot", "server.header_timeout", "log.level"] {
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
    assert_eq!(source("server.token"), Source::Default);
}

#[test]
fn secret_is_read_from_a_file_and_masked() {
    let path = std::env::temp_dir().join(format!("rowhouse-secret-{}", std::process::id()));
    std::fs::write(&path, "s3cret\n").unwrap();
    let (settings, sources) = load("", &[("ROWHOUSE_SERVER__TOKEN_FILE", path.to_str().unwrap())]);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(settings.unwrap().get::<ServerSettings>().token.clone().unwrap().expose(), "s3cret");
    let shown = sources.effective().iter().find(|e| e.name == "server.token").unwrap();
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
fn spans_that_cannot_work_are_mistakes() {
    for span in ["0", "\"0ms\"", "\"999999999999d\""] {
        let mistakes = load(&format!("[server]\nheader_timeout = {span}"), &[]).0.unwrap_err();
        assert!(mistakes.len() == 1 && mistakes[0].starts_with("server.header_timeout: "), "{mistakes:?}");
    }
}

#[test]
fn variable_of_another_name_stands_for_the_key_but_its_own_comes_first() {
    let path = std::env::temp_dir().join(format!("rowhouse-alias-{}", std::process::id()));
    std::fs::write(&path, "s3cret\n").unwrap();
    let (settings, sources) = load("", &[("PORT", "7"), ("TOKEN_FILE", path.to_str().unwrap())]);
    std::fs::remove_file(&path).unwrap();
    let server = settings.unwrap().get::<ServerSettings>();
    assert_eq!((server.port, server.token.as_ref().map(Secret::expose)), (7, Some("s3cret")));
    assert_eq!(sources.source("server", "port"), Some(&Source::Variable("PORT".to_owned())));
    let both = load("", &[("PORT", "7"), ("ROWHOUSE_SERVER__PORT", "8")]).0.unwrap();
    assert_eq!(both.get::<ServerSettings>().port, 8);
}

#[test]
fn translated_value_comes_before_the_file_and_after_our_own_variable() {
    let host = |variables: &[(&str, &str)]| {
        load("[server]\nhost = \"file\"", variables).0.unwrap().get::<ServerSettings>().host.clone()
    };
    assert_eq!(host(&[("OTHER_HOST", "other")]), "other");
    assert_eq!(host(&[("OTHER_HOST", "other"), ("ROWHOUSE_SERVER__HOST", "own")]), "own");
    let (settings, sources) = load("", &[("OTHER_PORT", "1")]);
    assert!(settings.is_ok());
    assert_eq!(sources.notes(), ["OTHER_PORT has no effect"]);
}

#[test]
fn value_from_the_database_comes_before_everything() {
    let mut sources = Sources::new("", [("ROWHOUSE_SERVER__HOST".to_owned(), "own".to_owned())]);
    sources.add_database(Translation { given: vec![given("db.host", "database")], notes: Vec::new() });
    let settings = Settings::load(&groups(), &mut sources).unwrap();
    assert_eq!(settings.get::<ServerSettings>().host, "database");
    assert_eq!(sources.source("server", "host"), Some(&Source::Database("db.host".to_owned())));
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
