//! Suggestions for misspelled names.

/// How alike two names must be, 1 being equal.
const LEAST: f64 = 0.75;
/// Above this many names no suggestion is made, since it would cost too much.
const MOST_NAMES: usize = 500;

/// The name most like `wanted`, if one is like enough.
pub(super) fn similar<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    most_similar(wanted, names, LEAST)
}

/// As [`similar`], with another threshold.
pub(super) fn most_similar<'a>(
    wanted: &str,
    names: impl Iterator<Item = &'a str>,
    least: f64,
) -> Option<String> {
    let names: Vec<&str> = names.take(MOST_NAMES + 1).collect();
    if names.len() > MOST_NAMES {
        return None;
    }
    let scored = names.into_iter().map(|name| (score(wanted, name), name));
    let best =
        scored.filter(|(score, _)| *score >= least).max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(a.1)));
    best.map(|(_, name)| name.to_owned())
}

fn score(left: &str, right: &str) -> f64 {
    let left: Vec<char> = left.chars().flat_map(char::to_lowercase).take(128).collect();
    let right: Vec<char> = right.chars().flat_map(char::to_lowercase).take(128).collect();
    let longest = left.len().max(right.len());
    if longest == 0 {
        return 0.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "names are short")]
    let score = 1.0 - distance(&left, &right) as f64 / longest as f64;
    score
}

/// Levenshtein's distance, one row at a time.
pub(super) fn distance(left: &[char], right: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let changed = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[right.len()]
}
