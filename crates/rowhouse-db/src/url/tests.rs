use rowhouse_kernel::Secret;
use tokio_postgres::Config;
use tokio_postgres::config::{ChannelBinding, Host, TargetSessionAttrs};

use crate::tls::SslMode;

use super::{SessionAttrs, environment, is_remote, login, read, with_database, with_login};

fn derived(url: &str, password: &str) -> Config {
    with_login(&Secret::new(url), "authenticator", &Secret::new(password)).unwrap().expose().parse().unwrap()
}

#[test]
fn tls_options_are_parsed_in_both_forms_and_kept() {
    for url in [
        "postgres://u:p@db.example/d?sslmode=verify-ca&sslrootcert=%2Fetc%2Fca%20file.pem&options=-c%20jit%3Doff",
        r"host=db.example user=u password='p' dbname=d sslmode=verify-ca sslrootcert='/etc/ca file.pem' options='-c jit=off'",
    ] {
        let (config, options) = super::parse(&Secret::new(url)).unwrap();
        assert_eq!(config.get_options(), Some("-c jit=off"));
        assert_eq!(
            (options.tls.mode, options.tls.root.as_deref()),
            (Some(SslMode::VerifyCa), Some("/etc/ca file.pem"))
        );
        let derived = with_login(&Secret::new(url), "authenticator", &Secret::new("x")).unwrap();
        let (derived, handed_on) = super::parse(&derived).unwrap();
        assert_eq!((derived.get_options(), handed_on), (Some("-c jit=off"), options));
    }
    assert!(
        read(&Secret::new("postgres://u@h/d?sslmode=maybe")).unwrap_err().to_string().contains("sslmode is")
    );
}

#[test]
fn derived_login_keeps_host_port_and_database_whatever_their_characters() {
    let odd = "a/b@c:d%e#f?g&h+i=j k!";
    for (url, host, port, database) in [
        ("postgres://u:p%40@db.example:6000/app", Host::Tcp("db.example".into()), 6000, "app"),
        ("postgres://u:p@db.example", Host::Tcp("db.example".into()), 5432, "u"),
        ("postgres://u:p@%2Frun%2Fpg/a%20b", Host::Unix("/run/pg".into()), 5432, "a b"),
        ("postgres://u:p@/app?host=/run/p@g&port=7", Host::Unix("/run/p@g".into()), 7, "app"),
        ("postgres://u:p@[::1]:6000/app", Host::Tcp("::1".into()), 6000, "app"),
        ("host=h port=6000 user=u password=p dbname=app", Host::Tcp("h".into()), 6000, "app"),
    ] {
        let config = derived(url, odd);
        assert_eq!(config.get_hosts(), [host], "{url}");
        assert_eq!((config.get_ports(), config.get_dbname()), (&[port][..], Some(database)), "{url}");
        assert_eq!((config.get_user(), config.get_password()), (Some("authenticator"), Some(odd.as_bytes())));
    }
}

#[test]
fn login_among_the_parameters_does_not_win_over_the_derived_one() {
    let config = derived("postgres://u:p@h/d?user=rowhouse&password=x", "secret");
    assert_eq!((config.get_user(), config.get_password()), (Some("authenticator"), Some(&b"secret"[..])));
    assert_eq!(login(&Secret::new("postgres://u:p@h/d?user=rowhouse")).unwrap(), "rowhouse");
}

#[test]
fn several_hosts_and_target_session_attrs_are_kept() {
    let config = derived("postgres://u:p@one:6000,two/d?target_session_attrs=read-write", "x");
    assert_eq!(config.get_hosts(), [Host::Tcp("one".into()), Host::Tcp("two".into())]);
    assert_eq!(config.get_ports(), [6000, 5432]);
    assert_eq!(config.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
    for url in ["postgres://u:p@one/d?hostaddr=10.0.0.1", "postgres:///d", "postgres://u@%2Frun,one/d"] {
        assert!(read(&Secret::new(url)).is_err(), "{url}");
    }
}

#[test]
fn target_session_attrs_are_those_of_libpq_and_handed_on() {
    for (name, expected) in [
        ("any", SessionAttrs::Any),
        ("read-write", SessionAttrs::ReadWrite),
        ("read-only", SessionAttrs::ReadOnly),
        ("primary", SessionAttrs::Primary),
        ("standby", SessionAttrs::Standby),
        ("prefer-standby", SessionAttrs::PreferStandby),
    ] {
        let url = format!("postgres://u:p@one,two/d?target_session_attrs={name}");
        for url in [Secret::new(url), Secret::new(format!("host=one,two target_session_attrs='{name}'"))] {
            assert_eq!(super::target(&url).unwrap().attrs, expected);
            let derived = with_login(&url, "authenticator", &Secret::new("x")).unwrap();
            assert_eq!(super::target(&derived).unwrap().attrs, expected);
        }
    }
    let wrong = read(&Secret::new("postgres://u@h/d?target_session_attrs=master")).unwrap_err().to_string();
    assert!(
        wrong.contains("any, read-write, read-only, primary, standby or prefer-standby, not \"master\""),
        "{wrong}"
    );
}

#[test]
fn environment_of_psql_leads_to_the_same_servers() {
    let url = "postgres://u:p%40@one:6000,two/d?target_session_attrs=primary&sslmode=verify-ca&sslrootcert=/ca.pem\
               &options=-c%20jit%3Doff&channel_binding=require";
    let expected = [
        ("PGHOST", "one,two"),
        ("PGPORT", "6000,5432"),
        ("PGUSER", "u"),
        ("PGDATABASE", "d"),
        ("PGPASSWORD", "p@"),
        ("PGSSLMODE", "verify-ca"),
        ("PGSSLROOTCERT", "/ca.pem"),
        ("PGTARGETSESSIONATTRS", "primary"),
        ("PGCHANNELBINDING", "require"),
        ("PGOPTIONS", "-c jit=off"),
    ];
    assert_eq!(
        environment(&Secret::new(url)).unwrap(),
        expected.map(|(name, value)| (name, value.to_owned()))
    );
    let socket = environment(&Secret::new("postgres://u:p@%2Frun%2Fpg/d")).unwrap();
    assert_eq!(socket[0], ("PGHOST", "/run/pg".to_owned()));
    assert!(socket.iter().all(|(name, _)| *name != "PGSSLMODE"));
}

#[test]
fn each_mode_accepts_the_servers_that_libpq_would() {
    let states = [(false, false), (false, true), (true, false), (true, true)];
    for (attrs, accepted) in [
        (SessionAttrs::Any, [true, true, true, true]),
        (SessionAttrs::ReadWrite, [true, false, false, false]),
        (SessionAttrs::ReadOnly, [false, true, true, true]),
        (SessionAttrs::Primary, [true, true, false, false]),
        (SessionAttrs::Standby, [false, false, true, true]),
    ] {
        let found = states
            .map(|(is_standby, is_read_only)| attrs.accepts(super::ServerState { is_standby, is_read_only }));
        assert_eq!(found, accepted, "{attrs:?}");
    }
    assert_eq!(SessionAttrs::PreferStandby.passes(), [SessionAttrs::Standby, SessionAttrs::Any]);
}

#[test]
fn wrong_part_of_a_url_is_named_and_no_password_told() {
    for (url, part) in [
        ("mysql://u:hidden@h/d", "the scheme is postgres or postgresql, not \"mysql\""),
        ("localhost", "no scheme"),
        ("postgres://u:hid@den@h/d", "the password contains an @, which is written %40"),
        ("postgres://u:hidden@h:54a/d", "the port of host 1 is not a number"),
        ("postgres://u:hidden", "the port of host 1 is not a number"),
        ("postgres://u:hidden@h,i:70000/d", "the port of host 2 is not a number"),
        ("postgres://u:hidden@h,,i/d", "host 2 is empty"),
        ("postgres://u:hidden@:5432/d", "host 1 is empty"),
        ("postgres://u:hidden@::1:5432/d", "brackets: [::1]"),
        ("postgres://u:hidden@[::1/d", "the [ of a host has no ]"),
        ("postgres://u:hidden@[::1]5432/d", "after ] comes a colon"),
        ("postgres://u:hidden@/d", "the host is missing"),
        ("postgres://u:hidden@h/d?hostaddr=10.0.0.1", "hostaddr is not supported"),
        ("postgres://u:hidden@h/d?sslmod=require", "unknown option `sslmod`"),
        ("postgres://u:hidden@h/d?connect_timeout=soon", "invalid value for option `connect_timeout`"),
        ("postgres://u:hidden@h/d?channel_binding=maybe", "invalid value for option `channel_binding`"),
        ("host=h password=two hidden dbname=d", "a value with spaces has no quotes"),
        ("host=h port=5x password=hidden", "invalid value for option `port`"),
    ] {
        let error = read(&Secret::new(url)).unwrap_err().to_string();
        assert!(error.contains(part) && !error.contains("hid"), "{url}: {error}");
    }
}

#[test]
fn channel_binding_is_handed_on() {
    for (given, expected) in [
        ("require", ChannelBinding::Require),
        ("disable", ChannelBinding::Disable),
        ("prefer", ChannelBinding::Prefer),
    ] {
        let config = derived(&format!("postgres://u:p@one/d?channel_binding={given}"), "x");
        assert_eq!(config.get_channel_binding(), expected);
    }
}

#[test]
fn only_another_machine_is_remote() {
    for (url, remote) in [
        ("postgres://u@localhost/d", false),
        ("postgres://u@127.0.0.1/d", false),
        ("postgres://u@%2Frun%2Fpg/d", false),
        ("postgres://u@10.0.0.1/d", true),
        ("postgres://u@db.example/d", true),
    ] {
        assert_eq!(is_remote(&Secret::new(url)).unwrap(), remote, "{url}");
    }
}

#[test]
fn another_database_keeps_login_password_and_session() {
    let url = Secret::new("postgres://u%20x:p%40ss@db.example:6000/d?sslmode=require&options=-c%20jit%3Doff");
    let (config, options) = super::parse(&with_database(&url, "other one").unwrap()).unwrap();
    assert_eq!((config.get_dbname(), config.get_user()), (Some("other one"), Some("u x")));
    assert_eq!((config.get_password(), config.get_ports()), (Some(&b"p@ss"[..]), &[6000][..]));
    assert_eq!((config.get_options(), options.tls.mode), (Some("-c jit=off"), Some(SslMode::Require)));
}
