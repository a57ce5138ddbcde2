use rowhouse_kernel::settings::{GroupSpec, Settings, Sources};
use rowhouse_module::{Mode, Module};

use super::MailModule;

fn addresses(toml: &str, mode: Mode) -> Vec<(&'static str, String)> {
    let mut sources = Sources::new(&format!("[mail]\n{toml}"), std::iter::empty());
    let settings = Settings::load(&[GroupSpec::of::<crate::MailSettings>()], &mut sources).unwrap();
    let listeners = MailModule.listeners(&settings, mode).unwrap();
    listeners.into_iter().map(|listener| (listener.name, listener.address)).collect()
}

#[test]
fn listeners_are_beside_the_api_in_development_and_otherwise_where_smtp_listen_names() {
    const SET: &str = "smtp_listen = \"127.0.0.2:587\"";
    const RELAY: &str = "transport = \"relay\"\nrelay_host = \"relay.example\"";
    let development = Mode::Development { api_port: 54321 };
    let smtp = |address: &str| ("mail submission", address.to_owned());
    let mailbox = ("captured mail", "127.0.0.1:54324".to_owned());
    for (toml, mode, expected) in [
        ("", development, vec![smtp("127.0.0.1:54325"), mailbox.clone()]),
        (SET, development, vec![smtp("127.0.0.2:587"), mailbox]),
        (RELAY, development, vec![smtp("127.0.0.1:54325")]),
        ("", Mode::Serve, vec![]),
        (SET, Mode::Serve, vec![smtp("127.0.0.2:587")]),
    ] {
        assert_eq!(addresses(toml, mode), expected, "{toml} {mode:?}");
    }
}
