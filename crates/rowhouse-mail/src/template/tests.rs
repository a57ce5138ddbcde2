use super::{EMBEDDED, Letter, Templates, Variables};

#[test]
fn every_template_renders_in_every_language_and_says_what_it_must() {
    let templates = Templates::embedded().unwrap();
    assert_eq!(templates.languages().collect::<Vec<_>>(), ["de", "en"]);
    assert_eq!(EMBEDDED.len(), 1 + 2 * 3 * Letter::ALL.len());
    let sample = Variables::sample();
    for language in templates.languages() {
        for letter in Letter::ALL {
            let rendered = templates.render(*letter, language, &sample).unwrap();
            assert!(rendered.subject.contains("Sample") && !rendered.subject.contains('\n'), "{rendered:?}");
            assert!(rendered.html.contains("<h1>") && rendered.html.contains("</html>"), "{rendered:?}");
            let is_code = matches!(letter, Letter::Reauthentication);
            if !matches!(letter, Letter::Test) {
                assert!(rendered.text.contains(&sample.token) && rendered.html.contains(&sample.token));
                assert_eq!(rendered.text.contains(&sample.confirmation_url), !is_code, "{rendered:?}");
                assert_eq!(rendered.html.contains("token=abc&amp;type=signup"), !is_code, "{rendered:?}");
            }
        }
    }
}

#[test]
fn what_users_chose_is_escaped_in_html_and_cannot_break_the_subject() {
    let folder =
        project(&[("en/test.html", "<p>{{ Data.name }}</p>"), ("en/test.subject", "Hello {{ Data.name }}")]);
    let templates = Templates::of_project(folder.path()).unwrap();
    let data = serde_json::json!({ "name": "<b>\r\nBcc: x" });
    let rendered = templates.render(Letter::Test, "en", &Variables { data, ..Variables::sample() }).unwrap();
    assert_eq!(rendered.html, "<p>&lt;b&gt;\r\nBcc: x</p>");
    assert_eq!(rendered.subject, "Hello <b> Bcc: x");
}

#[test]
fn project_replaces_single_files_and_adds_languages() {
    let folder = project(&[
        ("en/confirmation.subject", "Welcome, {{ .Email }}"),
        ("fr/confirmation.txt", "Bonjour {{ .Token }} {{.SiteURL}}"),
    ]);
    let templates = Templates::of_project(folder.path()).unwrap();
    let sample = Variables::sample();
    let own = templates.render(Letter::Confirmation, "en", &sample).unwrap();
    assert_eq!(own.subject, "Welcome, ada@b.example");
    assert!(own.text.contains("Confirm it to go on"));
    let french = templates.render(Letter::Confirmation, "fr", &sample).unwrap();
    assert_eq!((french.text.as_str(), french.subject), ("Bonjour 123456 https://app.example", own.subject));
}

#[test]
fn mistakes_in_a_project_s_templates_are_found_when_they_are_read() {
    for (name, text, says) in [
        ("en/confirmation.txt", "{{ Tokn }}", "no variable Tokn"),
        ("en/confirmation.html", "{% if %}", "syntax error"),
        ("en/confirmed.txt", "x", "no template's name"),
        ("confirmation.txt", "x", "no template's name"),
        ("en/confirmation.md", "x", "no template's name"),
    ] {
        let folder = project(&[(name, text)]);
        let error = Templates::of_project(folder.path()).unwrap_err().to_string();
        assert!(error.contains(says) && error.contains(name), "{name}: {error}");
    }
    assert!(Templates::of_project(std::path::Path::new("/nonexistent")).is_ok());
}

#[test]
fn nearest_language_is_taken() {
    let templates = Templates::embedded().unwrap();
    for (wanted, fallback, taken) in [
        (Some("de-AT"), "en", "de"),
        (Some("fr"), "de", "de"),
        (None, "xx", "en"),
        (Some("../de"), "en", "en"),
    ] {
        assert_eq!(templates.language(wanted, fallback), taken);
    }
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
