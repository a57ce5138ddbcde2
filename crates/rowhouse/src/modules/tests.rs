use rowhouse_auth::AuthSettings;
use rowhouse_db::DbSettings;
use rowhouse_http::ServerSettings;
use rowhouse_kernel::settings::{GroupSpec, Settings, Source, Sources};
use rowhouse_rest::{RestSettings, postgrest};

fn groups() -> Vec<GroupSpec> {
    super::modules().settings()
}

fn load(file: &str, variables: &[(&str, &str)]) -> (Settings, Sources) {
    let mut sources = Sources::new(file, variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
    (Settings::load(&groups(), &mut sources).unwrap(), sources)
}

#[test]
fn every_setting_is_documented() {
    for GroupSpec { about, fields, aliases, section, .. } in groups() {
        assert!(!about.trim().is_empty());
        let fields = fields();
        for field in &fields {
            assert!(field.doc.trim().ends_with('.'), "{} needs a sentence", field.name);
        }
        for (variable, key) in aliases {
            assert!(fields.iter().any(|field| field.name == format!("{section}.{key}")), "{variable}");
        }
    }
}

#[test]
fn every_key_of_postgrest_leads_to_a_setting_that_exists() {
    let known: Vec<String> =
        groups().into_iter().flat_map(|group| (group.fields)()).map(|field| field.name).collect();
    for (section, key) in postgrest::targets() {
        assert!(known.contains(&format!("{section}.{key}")), "{section}.{key}");
    }
}

#[test]
fn variables_of_postgrest_are_taken_and_named_as_the_source() {
    let (settings, sources) = load(
        "[rest]\nschemas = [\"file\"]\nmax_rows = 7",
        &[
            ("PGRST_DB_SCHEMAS", "api, public"),
            ("PGRST_DB_MAX_ROWS", "100"),
            ("ROWHOUSE_REST__MAX_ROWS", "9"),
            ("PGRST_DB_AGGREGATES_ENABLED", "True"),
            ("PGRST_DB_PLAN_ENABLED", "1"),
            ("PGRST_DB_POOL_ACQUISITION_TIMEOUT", "3"),
            ("PGRST_DB_EXTRA_SEARCH_PATH", ""),
            ("PGRST_DB_TX_END", ""),
            ("PGRST_SERVER_HOST", "!4"),
            ("PGRST_LOG_LEVEL", "crit"),
            ("PGRST_JWT_AUD", "us"),
            ("PGRST_APP_SETTINGS_Some_Name", "x"),
        ],
    );
    assert_eq!(settings.get::<RestSettings>().schemas, ["api", "public"]);
    assert_eq!(
        (
            settings.get::<RestSettings>().max_rows,
            settings.get::<RestSettings>().aggregates,
            settings.get::<RestSettings>().plan_enabled
        ),
        (Some(9), true, true)
    );
    assert_eq!(
        (
            settings.get::<DbSettings>().acquire_timeout.as_secs(),
            settings.get::<ServerSettings>().host.as_str()
        ),
        (3, "0.0.0.0")
    );
    assert!(settings.get::<RestSettings>().extra_search_path.is_empty());
    assert_eq!(settings.get::<AuthSettings>().jwt_aud.as_deref(), Some("us"));
    let rest = settings.get::<RestSettings>();
    let own: Vec<_> = rest.app_settings.iter().map(|(name, value)| (name, value.expose())).collect();
    assert_eq!(own, [("app.settings.Some_Name", "x")]);
    let source = |name: &str| sources.effective().iter().find(|e| e.name == name).unwrap().source.clone();
    assert_eq!(source("rest.schemas"), Source::Variable("PGRST_DB_SCHEMAS".to_owned()));
    assert_eq!(source("rest.max_rows"), Source::Variable("ROWHOUSE_REST__MAX_ROWS".to_owned()));
    assert!(sources.notes().is_empty(), "{:?}", sources.notes());
}

#[test]
fn wrong_value_and_unreadable_file_are_mistakes_that_name_the_variable() {
    let variables = [("PGRST_DB_MAX_ROWS", "many"), ("PGRST_JWT_SECRET", "@/nowhere/at/all")];
    let mut sources = Sources::new("", variables.map(|(k, v)| (k.to_owned(), v.to_owned())));
    let mistakes = Settings::load(&groups(), &mut sources).unwrap_err();
    assert_eq!(mistakes.len(), 2, "{mistakes:?}");
    assert!(
        mistakes.iter().any(|m| m.starts_with("rest.max_rows: ") && m.ends_with("(from PGRST_DB_MAX_ROWS)"))
    );
    assert!(mistakes.iter().any(|m| m.starts_with("auth.jwt_secret: cannot read /nowhere/at/all")));
}

#[test]
fn settings_in_the_database_come_before_variables() {
    let mut sources = Sources::new("", [("PGRST_DB_SCHEMAS".to_owned(), "env".to_owned())]);
    let stored = [("pgrst.db_schemas", "db"), ("pgrst.db_channel", "x"), ("pgrst.jwt_secret", "x")];
    sources.add_database(postgrest::from_database(stored.map(|(k, v)| (k.to_owned(), v.to_owned()))));
    let settings = Settings::load(&groups(), &mut sources).unwrap();
    assert_eq!(settings.get::<RestSettings>().schemas, ["db"]);
    let schemas = sources.effective().iter().find(|e| e.name == "rest.schemas").unwrap();
    assert_eq!(schemas.source, Source::Database("pgrst.db_schemas".to_owned()));
    assert!(settings.get::<AuthSettings>().jwt_secret.is_none());
    assert_eq!(sources.notes().len(), 2);
}
