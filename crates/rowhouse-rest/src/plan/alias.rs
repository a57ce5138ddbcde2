//! PostgreSQL's messages name tables as a statement does. Embedded tables have generated aliases there, which mean
//! nothing to a client.

use super::{Plan, Qualifier, ReadNode, Source, column};

/// Prefix of generated aliases.
const PREFIX: &str = "rowhouse_t";

impl Plan<'_> {
    /// A message with embedded tables named as PostgREST names them: `films_1`.
    pub(crate) fn with_table_names(&self, message: &str) -> String {
        let mut message = message.to_owned();
        let root = match self {
            Self::Read(plan) => Some(&plan.node),
            Self::Write(plan) => plan.read.as_ref(),
            Self::Call(plan) => Some(&plan.node),
            Self::Describe(_) | Self::Root { .. } => None,
        };
        let Some(root) = root.filter(|_| message.contains(PREFIX)) else { return message };
        let mut names = Vec::new();
        collect(root, &mut names);
        // The longest first: `rowhouse_t1` begins `rowhouse_t12`.
        names.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
        for (number, name) in names {
            message = message.replace(&format!("{PREFIX}{number}"), &name);
        }
        message
    }
}

fn collect(node: &ReadNode<'_>, names: &mut Vec<(usize, String)>) {
    for embed in &node.embeds {
        if let (Qualifier::Embedded(number), Source::Table(table)) =
            (&embed.node.qualifier, embed.node.source)
        {
            names.push((*number, column::relation(&table.name.name, embed.depth)));
        }
        collect(&embed.node, names);
    }
}
