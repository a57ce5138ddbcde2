use rowhouse_kernel::settings::{GroupSpec, Settings, Sources, unsafe_settings};

use super::RedisSettings;

fn load(file: &str) -> Result<Settings, Vec<String>> {
    Settings::load(&[GroupSpec::of::<RedisSettings>()], &mut Sources::new(file, []))
}

fn url(url: &str) -> String {
    format!("[redis]\nurl = \"{url}\"\n")
}

#[test]
fn redis_url_is_understood_and_masked() {
    let variables = [("REDIS_URL".to_owned(), "redis://:s3cret@cache:6379/2".to_owned())];
    let groups = [GroupSpec::of::<RedisSettings>()];
    let settings = Settings::load(&groups, &mut Sources::new("", variables)).unwrap();
    assert!(settings.get::<RedisSettings>().url.is_some());
    assert!(!format!("{:?}", settings.get::<RedisSettings>()).contains("s3cret"));
    assert!(!format!("{:?}", settings.values(&groups)).contains("s3cret"));
}

#[test]
fn every_form_of_a_url_is_taken() {
    for good in [
        "redis://127.0.0.1",
        "redis://:secret@cache:6380/3",
        "rediss://user:secret@[2001:db8::1]:6380",
        "valkey://cache",
        "valkeys://cache",
        "unix:///run/redis.sock?pass=secret&db=1",
        "redis+unix:///run/redis.sock",
    ] {
        load(&url(good)).unwrap_or_else(|why| panic!("{good}: {why:?}"));
    }
    load(&format!("{}cluster = true\n", url("rediss://:a@one:1,rediss://:a@two:2"))).unwrap();
}

#[test]
fn mistakes_are_named_all_at_once_and_no_secret_is_shown() {
    let file = "[redis]\nurl = \"http://:s3cret@cache\"\nkey_prefix = \"a{b\"\ntimeout = \"2s\"\n";
    let mistakes = load(file).unwrap_err();
    assert_eq!(mistakes.len(), 3, "{mistakes:?}");
    assert!(!mistakes.concat().contains("s3cret"), "{mistakes:?}");
    for (bad, says) in [
        ("redis://", "redis.url: "),
        ("redis://cache/one", "redis.url: "),
        ("rediss://cache/#insecure", "redis.url: #insecure"),
        ("redis://one,redis://two", "redis.url: several addresses"),
    ] {
        let mistakes = load(&url(bad)).unwrap_err();
        assert!(mistakes.len() == 1 && mistakes[0].starts_with(says), "{bad}: {mistakes:?}");
    }
    for bad in ["unix:///run/redis.sock", "redis://cache/1", "redis://one,rediss://two"] {
        let mistakes = load(&format!("{}cluster = true\n", url(bad))).unwrap_err();
        assert!(mistakes.len() == 1 && mistakes[0].starts_with("redis.url: "), "{bad}: {mistakes:?}");
    }
    assert_eq!(load("[redis]\ncluster = true").unwrap_err(), ["redis.url: not set; redis.cluster needs it"]);
    let plain = format!("{}ca_file = \"ca.pem\"\n", url("redis://cache"));
    assert_eq!(load(&plain).unwrap_err(), ["redis.ca_file: is for rediss://"]);
}

#[test]
fn production_refuses_plain_text_and_no_password_beyond_this_machine() {
    let refused =
        |file: &str| unsafe_settings(&[GroupSpec::of::<RedisSettings>()], &load(file).unwrap()).len();
    for local in ["redis://127.0.0.1", "redis://[::1]", "redis://localhost", "unix:///run/redis.sock"] {
        assert_eq!(refused(&url(local)), 0, "{local}");
    }
    assert_eq!(refused(&url("rediss://:secret@cache")), 0);
    assert_eq!(refused(&url("redis://:secret@10.0.0.7")), 1);
    assert_eq!(refused(&url("rediss://cache")), 1);
    assert_eq!(refused(&url("redis://cache")), 2);
    assert_eq!(refused(&format!("{}allow_plaintext = true\n", url("redis://:secret@cache"))), 0);
    assert_eq!(refused(""), 0);
}
