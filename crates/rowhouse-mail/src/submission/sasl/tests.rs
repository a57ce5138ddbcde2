use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rowhouse_kernel::Secret;

use super::{Claimed, plain, text};

#[test]
fn plain_is_a_name_and_a_secret() {
    let claimed = Some(Claimed { name: "shop".into(), secret: Secret::new("s3cret") });
    assert_eq!(plain(&STANDARD.encode("\0shop\0s3cret")), claimed);
    assert_eq!(plain(&STANDARD.encode("shop\0shop\0s3cret")), claimed);
}

#[test]
fn malformed_initial_response_is_refused() {
    for line in ["", "=", "%%%", "c2hvcA", &STANDARD.encode("shop"), &STANDARD.encode("\0\0x"), "/////w=="] {
        assert_eq!(plain(line), None, "{line}");
    }
    assert_eq!(plain(&STANDARD.encode("other\0shop\0s3cret")), None);
    assert_eq!(plain(&STANDARD.encode("\0shop\0s3\0cret")), None);
    assert_eq!(text("="), Some(String::new()));
    assert_eq!(text("c2hvcA=="), Some("shop".to_owned()));
}
