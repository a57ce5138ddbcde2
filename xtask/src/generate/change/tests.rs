use super::super::fragment::Fragment;
use super::compose;

const PAGE: &str = "# Changelog\n\n## [Unreleased]\n\n### Added\n- old\n\n## [0.1.0]\n\n### Added\n- first\n";

fn composed(fragments: &[(&str, &str)]) -> Result<String, String> {
    let fragments: Vec<Fragment> = fragments.iter().map(|(path, text)| Fragment::of(path, text)).collect();
    compose(PAGE, &fragments).map_err(|error| error.to_string())
}

#[test]
fn fragments_replace_the_unreleased_part_and_releases_stay() {
    let page = composed(&[
        ("changes/a.md", "# Fixed\n- one\n  goes on\n\n# Added\n- two\n"),
        ("changes/b.md", "# Added\n\n- three\n"),
    ]);
    assert_eq!(
        page.unwrap(),
        "# Changelog\n\n## [Unreleased]\n\n### Added\n- two\n- three\n\n### Fixed\n- one\n  goes on\n\n\
         ## [0.1.0]\n\n### Added\n- first\n"
    );
}

#[test]
fn mistake_in_a_fragment_is_reported_with_its_line() {
    let refused = |text: &str| composed(&[("changes/a.md", text)]).unwrap_err();
    assert_eq!(refused("- one\n"), "changes/a.md:1: begins without a heading");
    assert_eq!(
        refused("# Added\nprose\n"),
        "changes/a.md:2: is neither a heading, a bullet nor an indented line"
    );
    assert!(refused("# News\n- one\n").starts_with("changes/a.md:1: a heading is one of Added, "));
}
