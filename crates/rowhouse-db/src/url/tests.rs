use rowhouse_kernel::Secret;
use tokio_postgres::Config;
use tokio_postgres::config::{ChannelBinding, Host, TargetSessionAttrs};

use crate::tls::SslMode;

use super::{is_remote, login, read, with_login};

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
            (options.mode, options.root.as_deref()),
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
