//! Values and names as SQL text. Leaves which values to `value`.

/// A text in quotes, or NULL; PostgreSQL gives it the type of its place.
pub(crate) fn literal(value: Option<&str>) -> String {
    value.map_or("null".to_owned(), |text| format!("'{}'", text.replace('\'', "''")))
}

/// `"a = 'x' and b = 'y'"`; null compares as such.
pub(crate) fn matches<'a>(pairs: impl Iterator<Item = (&'a str, Option<&'a str>)>) -> String {
    let all: Vec<String> = pairs
        .map(|(column, value)| match value {
            Some(_) => format!("{column} = {}", literal(value)),
            None => format!("{column} is null"),
        })
        .collect();
    if all.is_empty() { "false".to_owned() } else { all.join(" and ") }
}

/// A text in dollar quotes whose tag it does not contain.
pub(crate) fn dollar_quoted(text: &str) -> String {
    let tags = std::iter::once("$$".to_owned()).chain((1_u32..).map(|at| format!("$q{at}$")));
    let tag = tags.into_iter().find(|tag| !text.contains(tag.as_str())).unwrap_or_default();
    format!("{tag} {text} {tag}")
}

#[cfg(test)]
mod tests;
