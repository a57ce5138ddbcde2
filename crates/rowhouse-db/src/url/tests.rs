use rowhouse_kernel::Secret;
use tokio_postgres::Config;
use tokio_postgres::config::Host;

use super::{is_remote, login, read, with_login};

fn derived(url: &str, password: &str) -> Config {
    with_login(&Secret::new(url), "authenticator", &Secret::new(password)).unwrap().expose().parse().unwrap()
}

#[test]
fn url_that_asks_for_tls_is_refused_instead_of_going_on_in_plain_text() {
    for mode in ["require", "verify-ca", "verify-full"] {
        let error = read(&Secret::new(format!("postgres://u:p@h/d?sslmode={mode}"))).unwrap_err().to_string();
        assert!(error.contains("TLS"), "{mode}: {error}");
    }
    for mode in ["disable", "prefer"] {
        assert!(read(&Secret::new(format!("postgres://u:p@h/d?sslmode={mode}"))).is_ok());
    }
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
fn several_hosts_are_refused_since_the_planes_would_part() {
    for url in ["postgres://u:p@one,two/d", "postgres://u:p@one/d?hostaddr=10.0.0.1", "postgres:///d"] {
        assert!(read(&Secret::new(url)).is_err(), "{url}");
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
