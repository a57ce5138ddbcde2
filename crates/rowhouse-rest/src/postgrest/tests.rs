use super::{KEYS, Mapping, from_variables, read_conf, translate};

#[test]
fn keys_without_effect_are_reported_by_name() {
    let variables = [("PGRST_DB_CHANNEL", "mine"), ("PGRST_DB_SHEMAS", "x"), ("PGRST_LOG_QUERY", "")];
    let notes = from_variables(&variables.map(|(k, v)| (k.to_owned(), v.to_owned())).into()).notes;
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(notes[0].starts_with("PGRST_DB_CHANNEL has no effect: "));
    assert!(notes[1].starts_with("PGRST_DB_SHEMAS has no effect: PostgREST 16 has no such key"));
}

#[test]
fn conf_file_is_read_with_comments_quotes_and_escapes() {
    let text = "# head\n\ndb-schemas = \"api, public\" # tail\ndb-max-rows=100 # rows\nserver-port = 3000\n\
                jwt-role-claim-key = \"$$.roles[?(@ == \\\"x#y\\\")]\"\napp.settings.a = \"b\"";
    let pairs = read_conf(text).unwrap();
    let expected = [
        ("db-schemas", "api, public"),
        ("db-max-rows", "100"),
        ("server-port", "3000"),
        ("jwt-role-claim-key", "$.roles[?(@ == \"x#y\")]"),
        ("app.settings.a", "b"),
    ];
    assert_eq!(pairs, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
    for wrong in ["nonsense", "a b = 1", "a = \"open", "a = \"b\" c"] {
        assert_eq!(read_conf(&format!("\n{wrong}")).unwrap_err(), "line 2: expected key = value", "{wrong}");
    }
    let translated = translate(pairs.into_iter().map(|(k, v)| (k.clone(), k, v)));
    assert_eq!((translated.given.len(), translated.notes.len()), (5, 0));
}

#[test]
fn every_key_has_its_row_in_the_manual() {
    let manual = include_str!("../../../../docs/migrate-from-postgrest.md");
    for (key, mapping) in KEYS {
        let row = match mapping {
            Mapping::Setting(section, name, _) => format!("| `{key}` | `{section}.{name}` |"),
            Mapping::Note(why) => format!("| `{key}` | – {why} |"),
        };
        assert!(manual.lines().any(|line| line == row), "{row}");
    }
}
