use serde_json::{Map, Value, json};

use super::{EMBEDDED, Letter, Rendered, TemplateError, Templates, Variables};

fn embedded() -> Templates {
    Templates::embedded("en").unwrap()
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("no object: {other}"),
    }
}

#[test]
fn every_template_renders_in_every_language_with_its_required_content() {
    let templates = embedded();
    assert_eq!(EMBEDDED.len(), 1 + 2 * 3 * Letter::ALL.len());
    let sample = Variables::sample();
    for language in ["en", "de"] {
        for letter in Letter::ALL {
            assert_eq!(templates.language(letter.name(), Some(language)), Some(language));
            let Rendered { subject, text, html } = templates.write(*letter, Some(language), &sample).unwrap();
            let (text, html) = (text.unwrap(), html.unwrap());
            assert!(subject.contains("Sample") && !subject.contains('\n'), "{subject}");
            assert!(html.contains("<h1>") && html.contains("</html>"), "{html}");
            let is_code = matches!(letter, Letter::Reauthentication);
            // A letter that only tells something carries nothing to act with.
            if letter.is_notification() {
                assert!(!text.contains(&sample.token) && !html.contains("token="), "{html}");
                assert!(text.contains(&sample.site_url), "{text}");
            } else if !matches!(letter, Letter::Test) {
                assert!(text.contains(&sample.token) && html.contains(&sample.token));
                assert_eq!(text.contains(&sample.confirmation_url), !is_code, "{text}");
                assert_eq!(html.contains("token=abc&amp;type=signup"), !is_code, "{html}");
            }
        }
    }
}

#[test]
fn user_data_is_escaped_in_html_and_cannot_break_the_subject() {
    let folder =
        project(&[("en/test.html", "<p>{{ Data.name }}</p>"), ("en/test.subject", "Hello {{ Data.name }}")]);
    let templates = Templates::of_project(folder.path(), "en").unwrap();
    let data = json!({ "name": "<b>\r\nBcc: x" });
    let rendered = templates.write(Letter::Test, None, &Variables { data, ..Variables::sample() }).unwrap();
    assert_eq!(rendered.html.unwrap(), "<p>&lt;b&gt;\r\nBcc: x</p>");
    assert_eq!(rendered.subject, "Hello <b> Bcc: x");
}

#[test]
fn missing_user_data_is_empty_in_built_in_templates() {
    let folder = project(&[("en/test.txt", "[{{ Data.name }}{{ Data.nick.short }}]")]);
    let templates = Templates::of_project(folder.path(), "en").unwrap();
    let data = json!({ "name": null });
    let rendered = templates.write(Letter::Test, None, &Variables { data, ..Variables::sample() }).unwrap();
    assert_eq!(rendered.text.unwrap(), "[]");
}

#[test]
fn project_replaces_single_files_and_adds_languages() {
    let folder = project(&[
        ("en/confirmation.subject", "Welcome, {{ .Email }}"),
        ("fr/confirmation.txt", "Bonjour {{ .Token }} {{.SiteURL}}"),
    ]);
    let templates = Templates::of_project(folder.path(), "en").unwrap();
    let sample = Variables::sample();
    let own = templates.write(Letter::Confirmation, Some("en"), &sample).unwrap();
    assert_eq!(own.subject, "Welcome, ada@b.example");
    assert!(own.text.unwrap().contains("Confirm it to go on"));
    let french = templates.write(Letter::Confirmation, Some("fr-CH"), &sample).unwrap();
    assert_eq!(
        (french.text.unwrap().as_str(), french.subject),
        ("Bonjour 123456 https://app.example", own.subject)
    );
}

const WELCOME: &[(&str, &str)] = &[
    ("de/welcome.subject", "Willkommen, {{ name }}"),
    (
        "de/welcome.txt",
        "{% for item in items %}{{ item.title }};{% endfor %}{% if note %} {{ note }}{% endif %}",
    ),
    ("de/welcome.html", "{% extends \"layout.html\" %}{% block body %}<p>{{ name }}</p>{% endblock %}"),
    ("en/welcome.subject", "Welcome to {{ SiteName }}, {{ name }}"),
    ("welcome.json", r#"{ "name": "Ada", "items": [{ "title": "One" }], "note": "" }"#),
];

fn welcome() -> Templates {
    Templates::of_project(project(WELCOME).path(), "de").unwrap()
}

#[test]
fn template_of_a_project_is_filled_with_the_caller_s_data() {
    let data =
        object(json!({ "SiteName": "Shop", "name": "<Bob>", "items": [{ "title": "A" }, { "title": "B" }] }));
    let german = welcome().fill("welcome", None, &data).unwrap();
    assert_eq!((german.subject.as_str(), german.text.as_deref()), ("Willkommen, <Bob>", Some("A;B;")));
    assert!(german.html.unwrap().contains("<p>&lt;Bob&gt;</p>"));
    // What a language lacks comes from the language of those who ask for none.
    let english = welcome().fill("welcome", Some("en-GB"), &data).unwrap();
    assert_eq!((english.subject.as_str(), english.text.as_deref()), ("Welcome to Shop, <Bob>", Some("A;B;")));
}

#[test]
fn missing_and_unfit_data_is_reported_to_the_caller() {
    let fill = |name: &str, data: Value| welcome().fill(name, None, &object(data)).unwrap_err();
    let error = fill("wellcome", json!({}));
    let usual = error.to_string().len();
    assert!(
        error.to_string().starts_with("template: there is no \"wellcome\"; there are account_exists, "),
        "{error}"
    );
    for data in [json!({}), json!({ "name": null }), json!({ "name": null, "items": null })] {
        let TemplateError::Missing { missing, .. } = fill("welcome", data) else { panic!() };
        assert!(missing.starts_with(&["items".to_owned(), "name".to_owned()]), "{missing:?}");
    }
    let error = fill("welcome", json!({ "SiteName": "S", "name": "Ada", "items": 7 }));
    assert!(
        matches!(error, TemplateError::Unfit { .. }) && error.to_string().contains("mail/de/welcome.txt:1"),
        "{error}"
    );
    let long = fill(&"\n".repeat(500), json!({})).to_string();
    assert!(long.len() < usual + 200 && !long.contains('\n'), "the name is shortened: {long}");
}

#[test]
fn only_data_that_the_template_cannot_do_without_is_reported_missing() {
    let folder = project(&[
        ("en/note.subject", "{{ title }}"),
        (
            "en/note.txt",
            "{{ year | default('ever') }}{% if nick is defined %}{{ nick }}{% endif %}{{ user.name }}\
             {% for item in items %}{{ item.title }}{% endfor %}",
        ),
        ("note.json", r#"{ "title": "T", "year": 1, "nick": "N", "user": { "name": "A" }, "items": [] }"#),
    ]);
    let templates = Templates::of_project(folder.path(), "en").unwrap();
    for (data, expected) in [
        (json!({}), &["items", "title", "user.name"][..]),
        (json!({ "title": "T", "user": {}, "items": [] }), &["user.name"]),
        (json!({ "title": "T", "user": { "name": "A" } }), &["items"]),
    ] {
        let error = templates.fill("note", None, &object(data)).unwrap_err();
        let TemplateError::Missing { missing, .. } = error else { panic!("{error}") };
        assert_eq!(missing, expected);
    }
}

#[test]
fn template_that_never_ends_or_grows_without_bound_is_stopped() {
    let folder = project(&[
        ("en/loop.subject", "S"),
        (
            "en/loop.txt",
            "{% for a in items %}{% for b in items %}{% for c in items %}{{ text }}{% endfor %}{% endfor %}{% endfor %}",
        ),
        ("loop.json", r#"{ "items": [1], "text": "" }"#),
    ]);
    let templates = Templates::of_project(folder.path(), "en").unwrap();
    let fill = |count: usize, text: String| {
        let data = object(json!({ "items": vec![1; count], "text": text }));
        templates.fill("loop", None, &data).unwrap_err().to_string()
    };
    assert!(fill(1000, "x".to_owned()).contains("fuel"));
    assert!(fill(30, "x".repeat(1_000_000)).contains("more than 16777216 bytes"));
}

#[test]
fn every_mistake_in_a_project_s_templates_is_reported_with_file_and_line() {
    for (files, says) in [
        (
            &[("en/confirmation.txt", "a\n{{ Tokn }}")][..],
            &["mail/en/confirmation.txt:2: there is no variable Tokn"][..],
        ),
        (&[("en/confirmation.html", "a\nb\n{% if %}")], &["mail/en/confirmation.html:3: syntax error"]),
        (
            &[("layout.html", "{{ Stie }}{% block body %}{% endblock %}")],
            &["mail/layout.html:1: there is no variable Stie"],
        ),
        (&[("confirmation.txt", "x")], &["mail/confirmation.txt: no template's name"]),
        (&[("en/confirmation.md", "x")], &["mail/en/confirmation.md: no template's name"]),
        (&[("en/Welcome.txt", "x")], &["mail/en/Welcome.txt: no template's name"]),
        (&[("test.json", "{}")], &["mail/test.json: a letter of the program's"]),
        (&[("x.json", "{\n")], &["mail/x.json:"]),
        (&[("x.json", "[]")], &["mail/x.json:1: expected a JSON object"]),
        (&[("x.json", "{}")], &["mail/x.json: there is no template x"]),
        (&[("en/x.subject", "S"), ("en/x.txt", "T")], &["mail/x.json: not there"]),
        (&[("en/x.subject", "S"), ("x.json", "{}")], &["mail/en/x.txt: not there"]),
        (&[("en/x.txt", "T"), ("x.json", "{}")], &["mail/en/x.subject: not there"]),
        (
            &[("en/x.subject", "S"), ("en/x.txt", "\n{{ a.b }}"), ("x.json", r#"{ "a": {} }"#)],
            &["mail/en/x.txt:2: undefined value"],
        ),
        (
            &[("en/x.subject", "{{ a|upperr }}"), ("en/x.txt", "T"), ("x.json", r#"{ "a": "" }"#)],
            &["mail/en/x.subject:1: "],
        ),
        (
            &[("en/test.txt", "{{ A }}"), ("de/test.txt", "{{ B }}")],
            &["mail/de/test.txt:1: there is no variable B", "mail/en/test.txt:1: there is no variable A"],
        ),
    ] {
        let folder = project(files);
        let mistakes = Templates::of_project(folder.path(), "en").unwrap_err().0;
        assert_eq!(mistakes.len(), says.len(), "{mistakes:?}");
        for says in says {
            assert!(mistakes.iter().any(|mistake| mistake.starts_with(says)), "{says}: {mistakes:?}");
        }
    }
    assert!(Templates::of_project(std::path::Path::new("/nonexistent"), "en").is_ok());
}

#[test]
fn nearest_language_is_chosen() {
    let templates = embedded();
    for (wanted, taken) in [
        (Some("de-AT"), "de"),
        (Some("de_AT"), "de"),
        (Some("fr"), "en"),
        (None, "en"),
        (Some("../de"), "en"),
    ] {
        assert_eq!(templates.language("test", wanted), Some(taken));
    }
    assert_eq!(Templates::embedded("de").unwrap().language("test", Some("fr")), Some("de"));
    assert_eq!(Templates::embedded("xx").unwrap().language("test", None), Some("en"));
    assert_eq!(templates.language("none", None), None);
}

fn project(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}
