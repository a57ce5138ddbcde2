//! A report as text for people.

use std::fmt::Write as _;

use super::governed::Governed;
use super::report::{ExplainReport, Scan};
use super::tree::{Node, Tree};

/// Where the plan's numbers begin, unless a step is longer.
const WIDTH: usize = 60;

impl std::fmt::Display for ExplainReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&plan(&self.plan))?;
        f.write_str("\nPolicies\n")?;
        self.relations.iter().try_for_each(|relation| f.write_str(&policies(relation)))?;
        list(f, "Indexes used", &self.indexes)?;
        list(f, "Read sequentially", &self.sequential)?;
        f.write_str("\nHints\n")?;
        if self.hints.is_empty() {
            f.write_str("  none\n")?;
        }
        for (place, hint) in self.hints.iter().enumerate() {
            writeln!(f, "  {}. {}", place + 1, hint.message)?;
            hint.statement.iter().try_for_each(|statement| writeln!(f, "     {statement}"))?;
        }
        Ok(())
    }
}

fn list(f: &mut std::fmt::Formatter<'_>, title: &str, scans: &[Scan]) -> std::fmt::Result {
    writeln!(f, "\n{title}")?;
    if scans.is_empty() {
        writeln!(f, "  none")?;
    }
    for scan in scans {
        let names =
            [&scan.index, &scan.relation].into_iter().flatten().cloned().collect::<Vec<_>>().join(" on ");
        let actual = scan.actual_rows.map(|rows| format!(", {rows} came")).unwrap_or_default();
        writeln!(f, "  {names} ({}: {} rows expected{actual})", scan.kind, scan.rows)?;
    }
    Ok(())
}

/// The tree with its numbers in columns.
fn plan(tree: &Tree) -> String {
    let mut lines = Vec::new();
    steps(&tree.root, "", "", &mut lines);
    let width = lines.iter().filter(|(_, numbers)| !numbers.is_empty()).map(|(step, _)| step.chars().count());
    let width = width.max().unwrap_or_default().clamp(WIDTH, 2 * WIDTH);
    let has_actual = tree.root.actual.is_some();
    let mut text = format!("{:width$}{:>22}{:>10}", "Plan", "cost", "rows");
    text.push_str(if has_actual { "    actual     loops        ms\n" } else { "\n" });
    for (step, numbers) in lines {
        let line = format!("{step:width$}{numbers}");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    for (what, ms) in [("planned", tree.planning_ms), ("ran, and undone,", tree.execution_ms)] {
        if let Some(ms) = ms {
            let _infallible = writeln!(text, "  {what} in {ms:.3} ms");
        }
    }
    text
}

/// One line per node and one per condition, each with its numbers.
fn steps(node: &Node, first: &str, rest: &str, lines: &mut Vec<(String, String)>) {
    let subplan = node.subplan.as_ref().map(|name| format!("{name}: ")).unwrap_or_default();
    lines.push((format!("  {first}{subplan}{}", step(node)), numbers(node)));
    let bar = if node.children.is_empty() { "  " } else { "│ " };
    for condition in &node.conditions {
        lines.push((format!("  {rest}{bar}  {}: {}", condition.label, condition.text), String::new()));
    }
    if !node.sort_keys.is_empty() {
        lines.push((format!("  {rest}{bar}  Sort Key: {}", node.sort_keys.join(", ")), String::new()));
    }
    for (place, child) in node.children.iter().enumerate() {
        let is_last = place + 1 == node.children.len();
        let (branch, below) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        steps(child, &format!("{rest}{branch}"), &format!("{rest}{below}"), lines);
    }
}

fn step(node: &Node) -> String {
    let mut text = node.operation.clone().unwrap_or_else(|| node.kind.clone());
    if let Some(index) = &node.index {
        let _infallible = write!(text, " using {index}");
    }
    if let Some((schema, name)) = node.relation() {
        let _infallible = write!(text, " on {schema}.{name}");
        if let Some(alias) = node.alias.as_ref().filter(|alias| *alias != name) {
            let _infallible = write!(text, " as {alias}");
        }
    }
    text
}

fn numbers(node: &Node) -> String {
    let cost = format!("{:.2}..{:.2}", node.startup_cost, node.total_cost);
    let mut text = format!("{cost:>22}{:>10}", node.rows);
    if let Some(actual) = node.actual {
        let _infallible = write!(text, "{:>10}{:>10}{:>10.3}", actual.rows, actual.loops, actual.ms);
    }
    text
}

fn policies(governed: &Governed) -> String {
    let mut text = format!("  {} as {}", governed.relation, governed.role);
    text.push_str(match (governed.row_security, governed.bypassed, governed.policies.is_empty()) {
        (false, ..) => ": row-level security is off\n",
        (true, true, _) => ": looks past row-level security\n",
        (true, false, true) => ": no policy applies, so there are no rows\n",
        (true, false, false) => "\n",
    });
    for policy in &governed.policies {
        let kind = if policy.permissive { "permissive" } else { "restrictive" };
        let roles = policy.roles.join(", ");
        let _infallible = writeln!(text, "    {} ({kind}, for {}, to {roles})", policy.name, policy.command);
        for (word, expression) in [("using", &policy.using), ("check", &policy.check)] {
            if let Some(expression) = expression {
                let _infallible = writeln!(text, "      {word} {expression}");
            }
        }
    }
    text
}
