//! Values that a column may take: the first tells tenants apart where the type allows it, the others are for constraints.
//! Leaves trying them to `row`.

use super::catalog::Column;

/// Most values tried for one column.
const MOST_VALUES: usize = 40;
/// Longest text that is made because a constraint names a number.
const LONGEST: usize = 2000;

/// Beginning of every text made for a party: what belongs to it is found by this.
pub(crate) fn mark(tag: char) -> String {
    format!("prove-{tag}")
}

/// Whose value, and of which of their rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seed {
    pub(crate) tag: char,
    pub(crate) variant: u32,
    /// Makes values that nobody else can foresee and take first; without it they are always the same.
    pub(crate) salt: Option<u64>,
}

impl Seed {
    /// Fits into a `smallint`.
    fn number(self) -> u32 {
        let salted = self.salt.map(|salt| u32::try_from(salt % 20_000).unwrap_or_default());
        7000 + (self.tag as u32 - 'a' as u32) * 100 + self.variant + salted.unwrap_or_default()
    }

    fn text(self) -> String {
        match self.salt {
            // A letter, as names of many kinds begin; what is cut off a short text is not what is random.
            Some(salt) => format!("t{salt:016x}-{}{}", self.tag, self.variant),
            None => format!("{}{}", mark(self.tag), self.variant),
        }
    }

    fn uuid(self, column: &str) -> String {
        let start = self.salt.unwrap_or_default().wrapping_add(u64::from(self.number()));
        let hash =
            column.bytes().fold(start, |hash, byte| hash.wrapping_mul(0x0100_0000_01b3) ^ u64::from(byte));
        format!("{:08x}-7ead-4000-8000-{:012x}", self.number(), hash & 0xffff_ffff_ffff)
    }
}

/// Values in the order in which they are tried; `hints` are the constraints that the column is part of.
pub(crate) fn candidates(column: &Column, seed: Seed, hints: &[&str]) -> Vec<String> {
    let own = column.checks.iter().flatten().map(String::as_str);
    let hints: Vec<&str> = hints.iter().copied().chain(own).collect();
    let (texts, numbers) = literals(&hints);
    let mut values = match column.kind.as_str() {
        "e" => column.labels.clone().unwrap_or_default(),
        "r" | "m" => ranges(&column.base),
        _ => match column.category.as_str() {
            "S" => strings(seed, &texts, &numbers),
            "N" => amounts(seed, &numbers),
            "B" => to_text(&["false", "true"]),
            "D" => [texts.clone(), days(&column.base)].concat(),
            "T" => to_text(&["1 hour", "1 day", "0"]),
            "A" => lists(column),
            "I" => to_text(&["10.0.0.1", "10.0.0.0/8"]),
            "V" => to_text(&["101", "1"]),
            "G" => to_text(&["(1,2)", "((1,2),(3,4))"]),
            _ => others(column, seed),
        },
    };
    if column.category == "S"
        && let Some(length) = length(&column.type_name)
    {
        values.iter_mut().for_each(|value| shorten(value, length, seed));
    }
    let mut seen = std::collections::BTreeSet::new();
    values.retain(|value| seen.insert(value.clone()));
    values.truncate(MOST_VALUES);
    values
}

fn to_text(values: &[&str]) -> Vec<String> {
    values.iter().map(|&value| value.to_owned()).collect()
}

fn strings(seed: Seed, texts: &[String], numbers: &[f64]) -> Vec<String> {
    let text = seed.text();
    let mut values =
        vec![text.clone(), format!("{text}@prove.invalid"), format!("https://prove.invalid/{text}")];
    values.extend(texts.iter().cloned());
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded before")]
    let lengths = numbers.iter().filter(|n| (1.0..LONGEST as f64).contains(*n)).map(|n| *n as usize);
    values.extend(lengths.map(|length| padded(&text, length)));
    values.extend(to_text(&[
        "A",
        "a",
        "1",
        "12345",
        "#aabbcc",
        "+15550100001",
        "en",
        "EUR",
        "2026-01-01",
        "10.0.0.1",
        "{}",
        "",
    ]));
    values.push(text.to_uppercase());
    values.push(text.replace('-', "_"));
    values
}

fn padded(text: &str, length: usize) -> String {
    text.chars().chain(std::iter::repeat('x')).take(length).collect()
}

fn amounts(seed: Seed, numbers: &[f64]) -> Vec<String> {
    let near = numbers.iter().flat_map(|n| [*n, n + 1.0, n - 1.0]).map(|n| n.to_string());
    let few = to_text(&["1", "0", "2", "50", "0.5", "-1", "100"]);
    std::iter::once(seed.number().to_string()).chain(near).chain(few).collect()
}

fn days(base: &str) -> Vec<String> {
    match base {
        "time" | "timetz" => to_text(&["10:00", "12:00", "00:00"]),
        _ => to_text(&["2026-06-01", "2027-06-01", "2026-01-01", "2025-06-01", "2030-01-01", "2000-01-01"]),
    }
}

fn ranges(base: &str) -> Vec<String> {
    let one = match base {
        "int4range" | "int8range" | "numrange" => "[1,9)",
        _ => "[2026-06-01,2026-06-02)",
    };
    let many = base.contains("multirange");
    vec![
        if many { format!("{{{one}}}") } else { one.to_owned() },
        if many { "{}" } else { "empty" }.to_owned(),
    ]
}

fn lists(column: &Column) -> Vec<String> {
    let label = column.element_labels.as_ref().and_then(|labels| labels.first()).cloned();
    let element = label.unwrap_or_else(|| "1".to_owned());
    vec!["{}".to_owned(), format!("{{{element}}}")]
}

fn others(column: &Column, seed: Seed) -> Vec<String> {
    match column.base.as_str() {
        "uuid" => vec![seed.uuid(&column.bare_name)],
        "json" | "jsonb" => {
            vec![format!("{{\"mark\": \"{}\"}}", seed.text()), "{}".to_owned(), "[]".to_owned()]
        }
        "bytea" => to_text(&["\\x01"]),
        "xml" => to_text(&["<a/>"]),
        "macaddr" => to_text(&["08:00:2b:01:02:03"]),
        "pg_lsn" => to_text(&["0/1"]),
        _ => vec![seed.text(), "1".to_owned(), String::new()],
    }
}

/// `n` of `character varying(n)`.
fn length(type_name: &str) -> Option<usize> {
    let (_, rest) = type_name.split_once('(')?;
    rest.trim_end_matches(']').trim_end_matches('[').trim_end_matches(')').parse().ok()
}

/// Whose it is survives the cut.
fn shorten(value: &mut String, length: usize, seed: Seed) {
    if value.chars().count() > length {
        let short = format!("{}{}", seed.tag, seed.variant);
        *value = if value.starts_with("prove-") && length < 8 { short } else { value.clone() };
        *value = value.chars().take(length).collect();
    }
}

/// Quoted texts and numbers in the SQL of constraints.
fn literals(hints: &[&str]) -> (Vec<String>, Vec<f64>) {
    let (mut texts, mut numbers) = (Vec::new(), Vec::new());
    for hint in hints {
        let mut parts = hint.split('\'');
        while let Some(code) = parts.next() {
            let words = code.split(|c: char| !(c.is_alphanumeric() || c == '.' || c == '_'));
            numbers.extend(
                words
                    .filter(|word| word.starts_with(|c: char| c.is_ascii_digit()))
                    .filter_map(|word| word.parse::<f64>().ok()),
            );
            texts.extend(parts.next().map(str::to_owned));
        }
    }
    numbers.extend(texts.iter().filter_map(|text: &String| text.parse::<f64>().ok()).collect::<Vec<_>>());
    (texts, numbers)
}

#[cfg(test)]
mod tests;
