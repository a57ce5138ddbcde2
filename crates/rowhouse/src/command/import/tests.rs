use rowhouse_db::DbSettings;
use rowhouse_http::ServerSettings;
use rowhouse_kernel::settings::{Settings, Sources};
use rowhouse_rest::RestSettings;
use rowhouse_rest::postgrest::{read_conf, translate};

use super::document;

#[test]
fn imported_file_means_the_same() {
    let conf = "db-uri = \"postgres://authenticator:x@db/app\"\ndb-schemas = \"api, public\"\ndb-max-rows = 100\n\
                db-aggregates-enabled = true\ndb-pool-acquisition-timeout = 7\ndb-channel = \"mine\"\n\
                app.settings.host = \"a.example\"\nserver-port = 3000";
    let pairs = read_conf(conf).unwrap();
    let toml = document(&translate(pairs.into_iter().map(|(k, v)| (k.clone(), k, v)))).unwrap();
    let settings =
        Settings::load(&crate::modules::modules().settings(), &mut Sources::new(&toml, [])).unwrap();
    assert_eq!(
        (settings.get::<RestSettings>().schemas.join(" "), settings.get::<RestSettings>().max_rows),
        ("api public".to_owned(), Some(100))
    );
    assert_eq!(
        (settings.get::<RestSettings>().aggregates, settings.get::<DbSettings>().acquire_timeout.as_secs()),
        (true, 7)
    );
    assert_eq!(
        settings.get::<DbSettings>().authenticator_url.clone().unwrap().expose(),
        "postgres://authenticator:x@db/app"
    );
    assert_eq!(settings.get::<RestSettings>().app_settings.iter().count(), 1);
    assert_eq!(settings.get::<ServerSettings>().port, 3000);
    assert!(toml.starts_with("# db-channel has no effect: "), "{toml}");
}
