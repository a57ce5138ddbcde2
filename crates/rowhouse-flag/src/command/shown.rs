//! Flags as text for a terminal.

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde_json::Value as Json;

use crate::definition::{Fields, Flag};
use crate::overriding::Override;
use crate::value::{Kind, ROLLOUT};

/// A line for each.
pub(super) fn list(flags: &[Flag]) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(["flag", "kind", "default", "rules", "owner", "sunset"]);
    for flag in flags {
        let Flag { name, fields, .. } = flag;
        table.add_row([
            name.clone(),
            fields.kind.to_string(),
            default(fields),
            fields.rules.len().to_string(),
            fields.owner.clone(),
            sunset(flag),
        ]);
    }
    let past = flags.iter().filter(|flag| flag.is_past_sunset).count();
    match past {
        0 => format!("{table}"),
        _ => format!("{table}\n\n{past} past sunset"),
    }
}

/// Everything about one.
pub(super) fn flag(flag: &Flag, overrides: &[Override]) -> String {
    let Flag { name, fields, .. } = flag;
    let mut lines = vec![
        format!("{name}: {}", fields.kind),
        format!("owner    {}", fields.owner),
        format!("default  {}, by {}", default(fields), fields.bucket_by),
        format!("sunset   {}", sunset(flag)),
    ];
    if !fields.description.is_empty() {
        lines.insert(1, fields.description.clone());
    }
    let variants =
        fields.variants.iter().map(|variant| format!("variant  {} {}", variant.name, variant.weight));
    lines.extend(variants);
    lines.extend(fields.routes.iter().map(|route| format!("route    {route}")));
    let rules = fields.rules.iter().enumerate();
    let rule = |rule| serde_json::to_string(rule).unwrap_or_default();
    lines.extend(rules.map(|(at, one)| format!("rule {}   {}", at + 1, rule(one))));
    lines.extend(overrides.iter().map(|one| format!("override {}:{} {}", one.scope, one.subject, one.value)));
    lines.join("\n")
}

/// What it is for somebody, and why.
pub(super) fn evaluation(name: &str, found: &Json) -> String {
    let is = if found["enabled"] == true { "on" } else { "off" };
    let variant = found["variant"].as_str().map(|variant| format!(", {variant}")).unwrap_or_default();
    let reason = found["reason"].as_str().unwrap_or_default().replace('_', " ");
    let rule = found["rule"].as_i64().map(|rule| format!(" {rule}")).unwrap_or_default();
    let bucket =
        found["bucket"].as_i64().map(|bucket| format!(", bucket {bucket} of 10000")).unwrap_or_default();
    format!("{name} is {is}{variant} ({reason}{rule}{bucket})")
}

fn default(fields: &Fields) -> String {
    match fields.kind == Kind::Percentage && fields.default_value == ROLLOUT {
        true => format!("{} %", fields.percentage),
        false => fields.default_value.clone(),
    }
}

fn sunset(flag: &Flag) -> String {
    let day = flag.fields.sunset_on.clone().unwrap_or_default();
    if flag.is_past_sunset { format!("{day} (past)") } else { day }
}
