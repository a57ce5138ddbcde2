//! Numbers in what commands print. Documents have plain ones.

/// With commas between thousands.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let first = (digits.len() + 2) % 3 + 1;
    let (head, tail) = digits.split_at(first.min(digits.len()));
    tail.as_bytes()
        .chunks(3)
        .fold(head.to_owned(), |text, group| text + "," + &String::from_utf8_lossy(group))
}

/// A number of things by their name, which is `one` or `many`.
#[must_use]
pub fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::{counted, grouped};

    #[test]
    fn thousands_are_grouped() {
        for (number, text) in [
            (0, "0"),
            (12, "12"),
            (999, "999"),
            (1_000, "1,000"),
            (12_345, "12,345"),
            (123_456, "123,456"),
            (1_234_567, "1,234,567"),
            (u64::MAX, "18,446,744,073,709,551,615"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn one_is_singular_and_nothing_is_plural() {
        let text = |number| counted(number, "value", "values");
        assert_eq!([text(0), text(1), text(2_000)], ["0 values", "1 value", "2,000 values"]);
    }
}
