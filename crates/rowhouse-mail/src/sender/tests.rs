use super::{SenderKind, read_name};

#[test]
fn name_is_a_domain_or_an_address_in_one_form() {
    for (text, kind, name) in [
        ("Shop.Example", SenderKind::Domain, "shop.example"),
        (" bücher.example ", SenderKind::Domain, "xn--bcher-kva.example"),
        ("Ada@Bücher.example", SenderKind::Address, "ada@xn--bcher-kva.example"),
    ] {
        assert_eq!(read_name(text).unwrap(), (kind, name.to_owned()), "{text}");
    }
    for text in [
        "",
        "com",
        "localhost",
        "a..b",
        "-a.example",
        "a b.example",
        "@x.example",
        "a@",
        "*.shop.example",
        "x_y.example",
        "shop.example.",
    ] {
        assert!(read_name(text).is_err(), "{text}");
    }
}
