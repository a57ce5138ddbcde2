use std::sync::Arc;

use super::{Key, StatementCache};

fn text(text: &str) -> Arc<str> {
    Arc::from(text)
}

#[test]
fn same_text_under_another_role_is_another_statement() {
    let mut cache = StatementCache::new(4);
    let first = cache.prepare(&text("anon"), &text("select 1"));
    let second = cache.prepare(&text("authenticated"), &text("select 1"));
    assert!(first.is_new && second.is_new);
    assert_ne!(first.name, second.name);
    assert!(!cache.prepare(&text("anon"), &text("select 1")).is_new);
}

#[test]
fn least_recently_used_statement_is_evicted() {
    let mut cache = StatementCache::new(2);
    let one = cache.prepare(&text("r"), &text("1")).name;
    cache.prepare(&text("r"), &text("2"));
    cache.prepare(&text("r"), &text("1"));
    let third = cache.prepare(&text("r"), &text("3"));
    assert_eq!(third.evicted.as_deref(), Some("s2"));
    assert_eq!(cache.prepare(&text("r"), &text("1")).name, one);
    assert_eq!(cache.len(), 2);
}

#[test]
fn forgotten_statement_is_parsed_again() {
    let mut cache = StatementCache::new(2);
    cache.prepare(&text("r"), &text("bad"));
    cache.forget(&Key::of(&text("r"), &text("bad")));
    assert!(cache.prepare(&text("r"), &text("bad")).is_new);
}

#[test]
fn long_text_is_not_kept() {
    let mut cache = StatementCache::new(2);
    let long = text(&"x".repeat(super::MAX_TEXT + 1));
    for _ in 0..2 {
        let prepared = cache.prepare(&text("r"), &long);
        assert_eq!((prepared.name.as_str(), prepared.is_new, prepared.evicted), ("", true, None));
    }
    assert_eq!(cache.len(), 0);
}
