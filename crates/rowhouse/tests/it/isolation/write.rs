//! Attacks that change: insert, upsert, update, replace, delete; by key, by tenant, by reference.

use reqwest::Method;
use serde_json::{Value, json};

use super::attack::{Attack, Expect, Field};
use super::row::Row;

/// Every way to write into one relation.
pub(super) fn attacks(field: &Field<'_>) -> Vec<Attack> {
    let mut all = inserts(field);
    all.extend(upserts(field));
    all.extend(updates(field));
    all.extend(moves(field));
    all.extend(references(field));
    all.extend(replacements(field));
    all.extend(deletes(field));
    all
}

/// A row without the columns that nobody may give.
fn writable(field: &Field<'_>, row: &Row) -> Row {
    let given =
        |name: &str| field.relation.column(name).is_some_and(|c| !c.is_generated && !c.is_identity_always);
    row.iter().filter(|(name, _)| given(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn with(mut row: Row, name: &str, value: impl Into<Value>) -> Row {
    row.insert(name.to_owned(), value.into());
    row
}

fn without(mut row: Row, name: &str) -> Row {
    row.remove(name);
    row
}

fn marked(field: &Field<'_>, row: Row) -> Row {
    match field.relation.free_text() {
        Some(name) => with(row, name, "overwritten"),
        None => row,
    }
}

fn inserts(field: &Field<'_>) -> Vec<Attack> {
    let post = |recipe, query: &str, body: Value| Attack::new(recipe, field, Method::POST, query).body(body);
    let (fresh, target) = (writable(field, &field.fresh), writable(field, &field.target));
    // Otherwise valid, so that only the tenant can be the reason for a refusal.
    let foreign = with(writable(field, &field.reaching), "tenant_id", field.target_tenant);
    let names: Vec<&str> = foreign.keys().map(String::as_str).collect();
    let columns = format!("columns={}", names.join(","));
    let mut all = vec![post("insert the target's row", "", json!(target))];
    if field.relation.has_tenant() {
        let refused = |attack: Attack| attack.expect(Expect::Refusal);
        all.push(refused(post("insert for the tenant", "select=*", json!(foreign))));
        all.push(refused(post("insert many", "", json!([fresh, foreign]))));
        all.push(refused(post("insert named columns", &columns, json!([foreign]))));
        let missing = "missing=default,return=representation,count=exact";
        all.push(refused(post("insert with defaults", &columns, json!([foreign, {}])).prefer(missing)));
        let lines = post("insert lines", "", json!(foreign)).prefer("return=minimal");
        all.push(refused(lines.header("content-type", "application/x-ndjson")));
        all.push(refused(post("insert in silence", "", json!(foreign)).prefer("return=minimal")));
        all.push(refused(post("insert for a location", "", json!(foreign)).prefer("return=headers-only")));
    }
    all
}

/// On every unique set of columns, merging and ignoring, with and without a claim on the tenant.
fn upserts(field: &Field<'_>) -> Vec<Attack> {
    let mut all = Vec::new();
    let target = marked(field, writable(field, &field.target));
    for key in &field.relation.keys {
        for (resolution, recipe) in [("merge", "upsert merging"), ("ignore", "upsert ignoring")] {
            for returning in ["representation", "minimal", "headers-only"] {
                let prefer = format!("resolution={resolution}-duplicates,return={returning},count=exact");
                let query = format!("on_conflict={}", key.join(","));
                let post = |row: Row| {
                    Attack::new(recipe, field, Method::POST, &query).prefer(&prefer).body(json!([row]))
                };
                all.push(post(target.clone()));
                if field.relation.has_tenant() {
                    all.push(post(with(target.clone(), "tenant_id", field.own_tenant)));
                    all.push(post(without(target.clone(), "tenant_id")));
                }
            }
        }
    }
    all
}

fn updates(field: &Field<'_>) -> Vec<Attack> {
    let Some(name) = field.relation.free_text() else { return Vec::new() };
    let patch = |recipe, query: &str| {
        Attack::new(recipe, field, Method::PATCH, query).body(json!({ name: "overwritten" }))
    };
    let key = field.relation.key();
    let equal = field.equal(&field.target, &key);
    let tree = field.equal_in_tree(&field.target, &key);
    let mut all = vec![
        patch("update by key", &equal).expect(Expect::NoRow),
        patch("update in silence", &equal).prefer("return=minimal,count=exact").expect(Expect::NoRow),
        patch("update for headers", &equal).prefer("return=headers-only,count=exact").expect(Expect::NoRow),
        patch("update one column", &format!("{equal}&columns={name}&select={name}")).expect(Expect::NoRow),
        patch("update by tree", &format!("or=(and({tree}),and({tree}))")).expect(Expect::NoRow),
    ];
    // Without a filter and without returned rows PostgreSQL applies only the policy of the command.
    all.push(patch("update blindly", "").prefer("return=minimal"));
    if field.relation.has_tenant() {
        all.push(
            patch("update by tenant", &format!("tenant_id=eq.{}", field.target_tenant)).expect(Expect::NoRow),
        );
    }
    all
}

/// Rows moved between tenants, in both directions.
fn moves(field: &Field<'_>) -> Vec<Attack> {
    if !field.relation.has_tenant() {
        return Vec::new();
    }
    let key = field.relation.key();
    let patch =
        |recipe, query: &str, body: Value| Attack::new(recipe, field, Method::PATCH, query).body(body);
    let (mine, theirs) =
        (json!({ "tenant_id": field.own_tenant }), json!({ "tenant_id": field.target_tenant }));
    let (own, target) = (field.equal(&field.own, &key), field.equal(&field.target, &key));
    let mut all = vec![
        patch("take a row", &target, mine.clone()).expect(Expect::NoRow),
        patch("take all rows", "tenant_id=not.is.null", mine),
        patch("push a row", &own, theirs.clone()).expect(Expect::Refusal),
        patch("push all rows", "tenant_id=not.is.null", theirs.clone()).expect(Expect::Refusal),
        patch("push in silence", &own, theirs).prefer("return=minimal").expect(Expect::Refusal),
    ];
    for unique in field.relation.keys.iter().filter(|key| !key.iter().any(|name| name == "tenant_id")) {
        let row: Row = unique.iter().map(|name| (name.clone(), field.target[name].clone())).collect();
        all.push(patch("take an identity", &own, json!(row)).expect(Expect::Refusal));
    }
    all
}

/// The attacker's own rows pointing at the target's.
fn references(field: &Field<'_>) -> Vec<Attack> {
    let mut all = Vec::new();
    let reaching = writable(field, &field.reaching);
    for reference in &field.relation.references {
        if !field.other(&reference.parent).is_some_and(super::catalog::Relation::has_tenant) {
            continue;
        }
        let columns = || reference.columns.iter().filter(|(own, _)| own != "tenant_id");
        let link: Row = columns().map(|(own, _)| (own.clone(), field.target[own].clone())).collect();
        let mut row = writable(field, &field.fresh);
        row.extend(link.clone());
        let post = |row: &Row, prefer: &str| {
            Attack::new("insert under a parent", field, Method::POST, "")
                .prefer(prefer)
                .body(json!(row))
                .expect(Expect::Refusal)
        };
        all.push(post(&row, "return=representation"));
        all.push(post(&row, "return=minimal"));
        all.push(post(&reaching, "return=representation"));
        let key = field.relation.key();
        if !link.keys().any(|name| key.contains(name)) {
            let own = field.equal(&field.own, &key);
            all.push(
                Attack::new("hang under a parent", field, Method::PATCH, &own)
                    .body(json!(link))
                    .expect(Expect::Refusal),
            );
            let upsert = writable(field, &field.own).into_iter().chain(link).collect::<Row>();
            let upsert = Attack::new("upsert under a parent", field, Method::POST, "").body(json!(upsert));
            all.push(
                upsert.prefer("resolution=merge-duplicates,return=representation").expect(Expect::Refusal),
            );
        }
    }
    all
}

fn replacements(field: &Field<'_>) -> Vec<Attack> {
    let target = marked(field, writable(field, &field.target));
    let equal = field.equal(&field.target, &field.relation.key());
    let put = |body: Row| Attack::new("replace", field, Method::PUT, &equal).body(json!(body));
    let mut all = vec![put(target.clone())];
    if field.relation.has_tenant() {
        all.push(put(with(target.clone(), "tenant_id", field.own_tenant)));
        all.push(put(without(target, "tenant_id")));
    }
    all
}

fn deletes(field: &Field<'_>) -> Vec<Attack> {
    let delete =
        |recipe, query: &str| Attack::new(recipe, field, Method::DELETE, query).expect(Expect::NoRow);
    let key = field.relation.key();
    let tree = field.equal_in_tree(&field.target, &key);
    let mut all = vec![
        delete("delete by key", &field.equal(&field.target, &key)),
        delete("delete in silence", &field.equal(&field.target, &key)).prefer("return=minimal,count=exact"),
        delete("delete by tree", &format!("or=(and({tree}),and({tree}))")),
    ];
    all.push(delete("delete blindly", "").prefer("return=minimal").expect(Expect::OwnRows));
    if field.relation.has_tenant() {
        all.push(delete("delete by tenant", &format!("tenant_id=eq.{}", field.target_tenant)));
        all.push(delete("delete everything", "tenant_id=not.is.null").expect(Expect::OwnRows));
    }
    all
}
