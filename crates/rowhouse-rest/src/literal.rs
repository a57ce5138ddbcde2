//! Array literals in PostgreSQL's text form. Leaves single values to the statements' parameters.

/// The text form of an array: every element quoted.
pub(crate) fn array<T: AsRef<str>>(values: &[T]) -> String {
    let length: usize = values.iter().map(|value| value.as_ref().len() + 3).sum();
    let mut text = String::with_capacity(length + 2);
    text.push('{');
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        text.push('"');
        for character in value.as_ref().chars() {
            if matches!(character, '"' | '\\') {
                text.push('\\');
            }
            text.push(character);
        }
        text.push('"');
    }
    text.push('}');
    text
}
