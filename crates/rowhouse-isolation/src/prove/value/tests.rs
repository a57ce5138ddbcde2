use super::*;

fn column(category: &str, type_name: &str) -> Column {
    serde_json::from_value(serde_json::json!({
        "name": "c", "bare_name": "c", "type": type_name, "base": type_name, "kind": "b", "category": category,
        "is_required": true, "is_nullable": false, "has_default": false, "is_fixed": false, "is_identity": false,
        "labels": null, "element_labels": null, "checks": null,
    }))
    .unwrap()
}

const SEED: Seed = Seed { tag: 'a', variant: 1, salt: None };

#[test]
fn text_names_its_party_and_constraints_give_further_values() {
    let hint = "CHECK ((char_length(c) = 12) AND (c = ANY (ARRAY['low'::text, 'high'::text])))";
    let values = candidates(&column("S", "text"), SEED, &[hint]);
    assert_eq!(values[0], "prove-a1");
    for value in ["low", "high", "prove-a1xxxx"] {
        assert!(values.iter().any(|one| one == value), "{value} in {values:?}");
    }
}

#[test]
fn short_text_still_differs_between_parties_and_rows() {
    let first = |seed| candidates(&column("S", "character varying(3)"), seed, &[]).swap_remove(0);
    assert_eq!([first(SEED), first(Seed { tag: 'b', variant: 2, ..SEED })], ["a1", "b2"]);
}

#[test]
fn numbers_of_constraints_and_their_neighbours_are_tried() {
    let values = candidates(&column("N", "integer"), SEED, &["CHECK (((c >= 1) AND (c < 5)))"]);
    assert!(values.contains(&"4".to_owned()) && values[0] == "7001", "{values:?}");
}

#[test]
fn salted_values_are_others_with_each_salt_and_are_random_when_cut() {
    let first = |category: &str, type_name: &str, salt: u64| {
        candidates(&column(category, type_name), Seed { salt: Some(salt), ..SEED }, &[]).swap_remove(0)
    };
    for (category, type_name) in
        [("S", "text"), ("S", "character varying(6)"), ("N", "smallint"), ("U", "uuid")]
    {
        let (one, other) = (first(category, type_name, u64::MAX), first(category, type_name, 7 << 60 | 7));
        assert!(one != other && !one.contains("prove"), "{type_name}: {one} and {other}");
        assert!(category != "N" || one.parse::<i16>().is_ok(), "{one}");
    }
}
