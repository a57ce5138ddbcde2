use super::super::fragment::Fragment;
use super::{BEGIN, END, compose};

fn composed(text: &str) -> Result<String, String> {
    let page = format!("# Rowhouse\n\n{BEGIN}old\n{END}\n\nrest\n");
    compose(&page, &[Fragment::of("docs/status/jobs.md", text)]).map_err(|error| error.to_string())
}

#[test]
fn fragment_becomes_a_row_that_links_to_it() {
    assert_eq!(
        composed("# Jobs\n\n- today: durable jobs\n- not yet: dashboards\n\nMore.\n").unwrap(),
        format!(
            "# Rowhouse\n\n{BEGIN}| | today | not yet |\n|---|---|---|\n\
             | [Jobs](docs/status/jobs.md) | durable jobs | dashboards |\n{END}\n\nrest\n"
        )
    );
}

#[test]
fn fragment_without_its_lines_or_with_a_long_cell_is_refused() {
    assert!(composed("# Jobs\n\ndurable jobs\n").unwrap_err().starts_with("docs/status/jobs.md: opens with"));
    let long = format!("# Jobs\n\n- today: {}\n- not yet: –\n", "x".repeat(111));
    assert!(composed(&long).unwrap_err().contains("is longer than 110 characters"));
}
