use std::path::Path;

use super::shell_word;

#[test]
fn only_what_a_shell_would_split_or_expand_is_quoted() {
    for (path, expected) in [
        ("/srv/my-saas_1.2", "/srv/my-saas_1.2"),
        ("/srv/my saas", "'/srv/my saas'"),
        ("/srv/ann's", r"'/srv/ann'\''s'"),
        ("/srv/$HOME;x", "'/srv/$HOME;x'"),
        ("/srv/größe", "'/srv/größe'"),
        ("", "''"),
    ] {
        assert_eq!(shell_word(Path::new(path)), expected);
    }
}
