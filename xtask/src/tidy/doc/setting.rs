//! Settings and their variables are named as they are defined.

use std::collections::BTreeSet;

use rowhouse_kernel::settings::GroupSpec;

use super::super::{Finding, tree::Tree};
use super::page::Page;

/// Known settings, and SQL names of the same form.
pub(super) struct Known<'a> {
    sections: BTreeSet<String>,
    names: BTreeSet<String>,
    variables: BTreeSet<String>,
    tree: &'a Tree,
}

impl<'a> Known<'a> {
    pub(super) fn new(tree: &'a Tree) -> Self {
        let mut known =
            Self { sections: BTreeSet::new(), names: BTreeSet::new(), variables: BTreeSet::new(), tree };
        for GroupSpec { section, fields, .. } in rowhouse::modules::modules().settings() {
            let fields = fields();
            known.sections.insert(section.to_owned());
            for field in fields {
                if field.secret {
                    known.variables.insert(format!("{}_FILE", field.variable));
                }
                known.variables.insert(field.variable);
                known.names.insert(field.name);
            }
        }
        known.sections.remove("");
        known
    }

    pub(super) fn check(&self, page: &Page<'_>) -> Vec<Finding> {
        let commands = page
            .commands()
            .flat_map(|(line, text)| self.unknown(text).into_iter().map(move |name| (line, name)));
        let blocks = page.fences.iter().filter(|fence| fence.language == "toml");
        let keys = blocks
            .flat_map(|fence| self.unknown_keys(&fence.text).into_iter().map(|name| (fence.line, name)));
        let unknown = commands.chain(keys);
        unknown
            .map(|(line, name)| {
                Finding::new(page.path, line, format!("names the setting `{name}`, which does not exist"))
            })
            .collect()
    }

    /// Names in a span or shell line that look like settings and do not exist.
    fn unknown(&self, text: &str) -> Vec<String> {
        let words = text
            .split(|c: char| c.is_whitespace() || "=,;:".contains(c))
            .filter(|word| self.is_unknown(word));
        words.map(str::to_owned).chain(self.unknown_in_section(text)).collect()
    }

    fn is_unknown(&self, word: &str) -> bool {
        if word.starts_with("ROWHOUSE_") {
            return word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
                && !self.variables.contains(word);
        }
        let Some((section, key)) = word.split_once('.') else { return false };
        let is_key =
            !key.is_empty() && key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        // Some sections share their name with a schema, whose tables are written the same way.
        is_key && self.sections.contains(section) && !self.names.contains(word) && !self.is_in_sql(word)
    }

    fn is_in_sql(&self, name: &str) -> bool {
        self.tree.ending(".sql").any(|(_, text)| text.contains(name))
    }

    /// The key in `[rest] schemas = …`.
    fn unknown_in_section(&self, text: &str) -> Option<String> {
        let (section, rest) = text.strip_prefix('[')?.split_once("] ")?;
        let key =
            rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().filter(|key| !key.is_empty())?;
        let name = format!("{section}.{key}");
        (self.sections.contains(section) && !self.names.contains(&name)).then_some(name)
    }

    /// Keys under a known section in a TOML block; blocks of other files have other sections.
    fn unknown_keys(&self, block: &str) -> Vec<String> {
        let table: toml::Table = block.parse().unwrap_or_default();
        let sections = table.iter().filter(|(section, _)| self.sections.contains(*section));
        let keys = sections.flat_map(|(section, value)| {
            value
                .as_table()
                .into_iter()
                .flat_map(move |keys| keys.keys().map(move |key| format!("{section}.{key}")))
        });
        keys.filter(|name| !self.names.contains(name)).collect()
    }
}
