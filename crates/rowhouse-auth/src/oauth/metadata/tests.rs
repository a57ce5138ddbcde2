use super::*;

fn draft(uri: &str) -> Draft {
    Draft { redirect_uris: Some(vec![uri.to_owned()]), ..Draft::default() }
}

fn register(draft: Draft) -> Result<OauthClient, MetadataError> {
    draft.register(Uuid::nil(), Registration::Manual, OffsetDateTime::UNIX_EPOCH)
}

#[test]
fn redirect_uris_are_of_pages_by_https_of_this_machine_or_of_apps() {
    for good in [
        "https://shop.example/callback",
        "https://shop.example/callback?a=b",
        "http://localhost:3000/callback",
        "http://127.0.0.1/callback",
        "http://[::1]:8080/callback",
        "myapp://callback",
    ] {
        assert!(register(draft(good)).is_ok(), "{good}");
    }
    for bad in [
        "",
        "/callback",
        "https://",
        "http://shop.example/callback",
        "http://localhost.evil.example/",
        "http://127.0.0.1.evil.example/",
        "https://shop.example/#x",
        "https://shop.example/#",
        "https://user@shop.example/",
        "https://shop.example/a,https://evil.example/",
        "https://shop.example\\@evil.example/",
        "https://shop.example/a b",
        "https://shop.example/\r\nSet-Cookie: a=b",
        "javascript://shop.example/%0aalert(1)",
        "JavaScript://shop.example/",
        "data:text/html,x",
        "file://localhost/etc/passwd",
        "mailto:a@example.com",
    ] {
        assert!(matches!(register(draft(bad)), Err(MetadataError::RedirectUri(_))), "{bad}");
    }
}

#[test]
fn type_and_method_agree_and_have_defaults() {
    let kind = |client_type: Option<&str>, method: Option<&str>| {
        let (client_type, auth_method) = (client_type.map(str::to_owned), method.map(str::to_owned));
        let made = register(Draft { client_type, auth_method, ..draft("https://a.example/") });
        made.map(|client| (client.client_type.as_str(), client.auth_method.as_str()))
    };
    assert_eq!(kind(None, None), Ok(("confidential", "client_secret_basic")));
    assert_eq!(kind(Some("public"), None), Ok(("public", "none")));
    assert_eq!(kind(None, Some("none")), Ok(("public", "none")));
    assert_eq!(kind(None, Some("client_secret_post")), Ok(("confidential", "client_secret_post")));
    for (client_type, method) in
        [("public", "client_secret_basic"), ("confidential", "none"), ("x", ""), ("", "x")]
    {
        assert!(kind(Some(client_type), Some(method)).is_err(), "{client_type} {method}");
    }
}

#[test]
fn pages_must_be_links_and_lists_known() {
    let with = |change: fn(&mut Draft)| {
        let mut draft = draft("https://a.example/");
        change(&mut draft);
        register(draft)
    };
    assert!(with(|draft| draft.logo_uri = Some("javascript:alert(1)".to_owned())).is_err());
    assert!(with(|draft| draft.uri = Some("x".to_owned())).is_err());
    assert!(with(|draft| draft.uri = Some("https://a.example".to_owned())).is_ok());
    assert!(with(|draft| draft.name = Some("x".repeat(1025))).is_err());
    assert!(with(|draft| draft.grant_types = Some(vec!["password".to_owned()])).is_err());
    assert!(with(|draft| draft.response_types = Some(vec!["token".to_owned()])).is_err());
    assert!(with(|draft| draft.redirect_uris = Some(vec!["https://a.example/".to_owned(); 11])).is_err());
    assert!(with(|draft| draft.redirect_uris = None).is_err());
}

#[test]
fn change_keeps_what_is_not_given() {
    let client = register(Draft { name: Some("Shop".to_owned()), ..draft("https://a.example/") }).unwrap();
    assert!(Draft::default().is_empty());
    let logo = Draft { logo_uri: Some("https://a.example/logo.png".to_owned()), ..Draft::default() };
    let changed = logo.apply(client.clone(), OffsetDateTime::UNIX_EPOCH).unwrap();
    assert_eq!(changed.name, client.name);
    assert_eq!(changed.redirect_uris, client.redirect_uris);
    let method = Draft { auth_method: Some("none".to_owned()), ..Draft::default() };
    assert!(method.apply(client, OffsetDateTime::UNIX_EPOCH).is_err());
}
