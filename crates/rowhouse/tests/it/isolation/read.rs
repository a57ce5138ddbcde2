//! Attacks that read: filters, logic trees, embeds, ranges, counts, functions.

use reqwest::Method;
use serde_json::{Value, json};

use super::attack::{Attack, Expect, Field, text};

/// Every way to read rows of one relation, by GET and by HEAD.
pub(super) fn attacks(field: &Field<'_>) -> Vec<Attack> {
    let mut all = Vec::new();
    for method in [Method::GET, Method::HEAD] {
        all.extend(filters(field, &method));
        all.extend(trees(field, &method));
        all.extend(windows(field, &method));
        all.extend(embeds(field, &method));
        all.extend(shapes(field, &method));
    }
    all
}

/// Shared rows are everybody's to read.
fn foreign_only(field: &Field<'_>) -> Expect {
    if field.relation.has_tenant() { Expect::NoRow } else { Expect::OwnRows }
}

fn filters(field: &Field<'_>, method: &Method) -> Vec<Attack> {
    let attack = |recipe, query: &str| Attack::new(recipe, field, method.clone(), query);
    let only = foreign_only(field);
    let mut all = vec![attack("everything", "select=*")];
    for key in field.relation.keys.iter().chain([&field.relation.key()]) {
        all.push(attack("by key", &field.equal(&field.target, key)).expect(only));
        let alone = &key[key.len() - 1];
        let value = text(&field.target[alone]);
        all.push(attack("in a list", &format!("{alone}=in.({value},{value})")));
        all.push(attack("from a bound", &format!("{alone}=gte.{value}")));
        all.push(attack("as text", &format!("select={alone}::text&{alone}=not.is.null")));
    }
    for (name, value) in
        field.target.iter().filter(|(_, value)| value.as_str().is_some_and(|text| text.len() > 20))
    {
        all.push(attack("by any column", &format!("select={name}&{name}=eq.{}", text(value))).expect(only));
    }
    if let Some(name) = field.relation.free_text() {
        let value = text(&field.target[name]);
        let start = &value[..value.len().min(11)];
        all.push(attack("by pattern", &format!("{name}=ilike.*{start}*")).expect(only));
        all.push(attack("by expression", &format!("{name}=match.^{start}")).expect(only));
    }
    if field.relation.has_tenant() {
        all.push(attack("by tenant", &format!("tenant_id=eq.{}", field.target_tenant)).expect(only));
        all.push(attack("not by tenant", "tenant_id=neq.00000000-0000-0000-0000-000000000000"));
        all.push(attack("distinct tenant", "tenant_id=isdistinct.00000000-0000-0000-0000-000000000000"));
    }
    all
}

fn trees(field: &Field<'_>, method: &Method) -> Vec<Attack> {
    let key = field.relation.key();
    let (target, first) = (field.equal_in_tree(&field.target, &key), &key[0]);
    let attack = |recipe, query: String| Attack::new(recipe, field, method.clone(), &query);
    let mut all = vec![
        attack("or", format!("or=({target},{first}.not.is.null)")),
        attack("not and", format!("not.and=({first}.is.null,{first}.is.null)")),
        attack(
            "nested tree",
            format!("and=(or({target},not.and({target})),or({first}.not.is.null,{target}))"),
        ),
        attack("not filter", format!("{first}=not.is.null")),
    ];
    if field.relation.has_tenant() {
        let (own, foreign) = (field.own_tenant, field.target_tenant);
        all.push(attack("or tenants", format!("or=(tenant_id.eq.{own},tenant_id.eq.{foreign})")));
        let only = format!("and=(tenant_id.eq.{foreign},or({target},not.or({first}.is.null)))");
        all.push(attack("and tenants", only).expect(Expect::NoRow));
    }
    all
}

fn windows(field: &Field<'_>, method: &Method) -> Vec<Attack> {
    let first = &field.relation.key()[0];
    let attack = |recipe, query: String| Attack::new(recipe, field, method.clone(), &query);
    vec![
        attack("ordered", format!("order={first}.desc.nullslast&limit=1")),
        attack("paged", format!("order={first}.asc&limit=100&offset=0")),
        attack("ranged", format!("order={first}")).header("range-unit", "items").header("range", "0-9"),
    ]
}

/// Along every foreign key, in both directions.
fn embeds(field: &Field<'_>, method: &Method) -> Vec<Attack> {
    let name = &field.relation.name;
    let parents = field.relation.references.iter().map(|reference| reference.parent.clone());
    let children = field.relations.iter().filter(|other| other.references.iter().any(|r| r.parent == *name));
    let mut others: Vec<String> =
        parents.chain(children.map(|child| child.name.clone())).filter(|other| other != name).collect();
    others.sort_unstable();
    others.dedup();
    let mut all = Vec::new();
    for other in &others {
        let attack = |recipe, query: String| Attack::new(recipe, field, method.clone(), &query);
        all.push(attack("embed", format!("select=*,{other}(*)")));
        all.push(attack("inner embed", format!("select=*,{other}!inner(*)")));
        let Some(relation) = field.other(other).filter(|relation| relation.has_tenant()) else { continue };
        let foreign = field.target_tenant;
        all.push(attack("embed filter", format!("select=*,{other}(*)&{other}.tenant_id=eq.{foreign}")));
        let inner = format!("select=*,{other}!inner(*)&{other}.tenant_id=eq.{foreign}");
        all.push(attack("inner embed filter", inner).expect(Expect::NoRow));
        let key = &relation.key()[0];
        all.push(attack(
            "embed tree",
            format!("select=*,{other}(*)&{other}.or=(tenant_id.eq.{foreign},{key}.not.is.null)"),
        ));
        all.push(attack(
            "embed order",
            format!("select=*,{other}(*)&{other}.order={key}.desc&{other}.limit=5"),
        ));
    }
    all
}

fn shapes(field: &Field<'_>, method: &Method) -> Vec<Attack> {
    let equal = field.equal(&field.target, &field.relation.key());
    let attack = |recipe, query: &str| Attack::new(recipe, field, method.clone(), query);
    let only = foreign_only(field);
    vec![
        attack("single", &equal).header("accept", "application/vnd.pgrst.object+json").expect(only),
        attack("csv", "select=*").header("accept", "text/csv"),
        attack("lines", "select=*").header("accept", "application/x-ndjson"),
        attack("profile", &equal).header("accept-profile", "auth"),
        attack("planned count", &equal).prefer("count=planned"),
        attack("exact count", &equal).prefer("count=exact").expect(only),
    ]
}

/// Every function, with the target's own values as arguments, and as a table with filters.
pub(super) fn calls(field: &Field<'_>) -> Vec<Attack> {
    let mut all = Vec::new();
    for function in field.functions {
        let arguments: Vec<(String, Value)> = function
            .arguments
            .iter()
            .map(|(name, kind)| (name.clone(), argument(field, name, kind)))
            .collect();
        let body: serde_json::Map<String, Value> = arguments.iter().cloned().collect();
        let query: Vec<String> =
            arguments.iter().map(|(name, value)| format!("{name}={}", text(value))).collect();
        let mut filters = vec![String::new()];
        if function.rows_of.is_some() {
            filters.extend([
                format!("tenant_id=eq.{}", field.target_tenant),
                "or=(tenant_id.not.is.null)&order=tenant_id.desc&limit=9".to_owned(),
            ]);
        }
        for filter in filters {
            let call = |method: Method, query: &str| {
                let mut attack = Attack::new("call", field, method, "");
                attack.relation.clone_from(&function.name);
                attack.path = format!("/rest/v1/rpc/{}?{query}", function.name);
                attack
            };
            all.push(call(Method::POST, &filter).body(body.clone()));
            let query = [query.join("&"), filter].join("&");
            all.extend([Method::GET, Method::HEAD].map(|method| call(method, query.trim_matches('&'))));
        }
    }
    all
}

fn argument(field: &Field<'_>, name: &str, kind: &str) -> Value {
    match (name, kind) {
        ("tenant", _) => json!(field.target_tenant),
        (_, "uuid" | "bigint") => field.target["id"].clone(),
        (_, "integer") => json!(1),
        ("pattern", _) => json!("%"),
        _ => json!("renamed"),
    }
}
