use rowhouse_kernel::settings::{GroupSpec, Settings, Sources};

use super::RestSettings;

#[test]
fn trace_header_must_be_a_name_that_frames_nothing() {
    let load = |name: &str| {
        let toml = format!("[rest]\ntrace_header = \"{name}\"");
        Settings::load(&[GroupSpec::of::<RestSettings>()], &mut Sources::new(&toml, []))
    };
    for name in ["", "two words", "x:y", "Content-Length", "transfer-encoding", "connection", "grün"] {
        let mistakes = load(name).unwrap_err();
        assert!(
            mistakes.len() == 1 && mistakes[0].starts_with("rest.trace_header: "),
            "{name}: {mistakes:?}"
        );
    }
    assert!(load("X-Request-Id").is_ok());
}
