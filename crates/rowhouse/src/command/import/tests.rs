use rowhouse_kernel::settings::postgrest::{Translated, read_conf};
use rowhouse_kernel::settings::{Settings, Sources};

use super::document;

#[test]
fn imported_file_means_the_same() {
    let conf = "db-uri = \"postgres://authenticator:x@db/app\"\ndb-schemas = \"api, public\"\ndb-max-rows = 100\n\
                db-aggregates-enabled = true\ndb-pool-acquisition-timeout = 7\ndb-channel = \"mine\"\n\
                app.settings.host = \"a.example\"\nserver-port = 3000";
    let pairs = read_conf(conf).unwrap();
    let toml = document(&Translated::of(pairs.into_iter().map(|(k, v)| (k.clone(), k, v)))).unwrap();
    let settings = Settings::load(&mut Sources::new(&toml, [])).unwrap();
    assert_eq!(
        (settings.rest.schemas.join(" "), settings.rest.max_rows),
        ("api public".to_owned(), Some(100))
    );
    assert_eq!((settings.rest.aggregates, settings.db.acquire_timeout.as_secs()), (true, 7));
    assert_eq!(settings.db.authenticator_url.unwrap().expose(), "postgres://authenticator:x@db/app");
    assert_eq!(settings.rest.app_settings.iter().count(), 1);
    assert_eq!(settings.server.port, 3000);
    assert!(toml.starts_with("# db-channel has no effect: "), "{toml}");
}
