//! Every verb on every table, view and function, aimed at another tenant's rows: nothing is seen, nothing is changed.
//!
//! The attacks are generated from the catalog. The same requests are first run by the rows' owner, and every one that
//! can succeed must succeed there: otherwise its failure for others would prove nothing.

mod attack;
mod catalog;
mod job;
mod oracle;
mod read;
mod row;
mod scene;
mod write;

use std::collections::{BTreeMap, BTreeSet};

use attack::{Attack, Expect};
use catalog::Relation;
use scene::Scene;

use crate::support::TestResponse;

/// Recipes that cannot succeed, not even for the owner: the schema is not served, the row exists.
const TOOTHLESS: [&str; 2] = ["profile", "insert the target's row"];

#[tokio::test]
async fn no_attack_reaches_another_tenants_rows() {
    let scene = Scene::start().await;
    let bitten = owner_succeeds(&scene).await;
    let mut tried = 0;
    for (name, token, tenant) in scene.strangers() {
        tried += stranger_fails(&scene, name, token.as_deref(), tenant).await;
    }
    let attacks = scene.attacks(&scene.victim).await;
    for dead in scene::DEAD {
        let token = scene.bury(dead).await;
        tried += dead_token_fails(&scene, dead, &token, &attacks, &bitten).await;
        scene.revive(dead).await;
    }
    assert!(tried > 5_000, "{tried} attacks are not many");
    eprintln!("{tried} attacks on {} relations, {} of them with teeth", scene.relations.len(), bitten.len());
}

/// Runs every attack as the rightful owner, on fresh rows; returns those (by path and place) that were let through.
async fn owner_succeeds(scene: &Scene) -> BTreeSet<usize> {
    let (mut through, mut teeth) = (BTreeSet::new(), BTreeMap::<&str, usize>::new());
    let mut verbs = BTreeSet::new();
    for (place, attack) in scene.attacks(&scene.victim).await.iter().enumerate() {
        // A count succeeds if the row exists.
        if attack.writes() || attack.recipe == "exact count" {
            scene.restore().await;
        }
        let before = if attack.writes() { Some(scene.dump("").await) } else { None };
        let answer = attack.send(&scene.app, Some(&scene.owner.token)).await;
        assert!(!answer.status.is_server_error(), "{attack:?}\n{answer:?}");
        let changed = match before {
            Some(before) => scene.dump("").await != before,
            None => false,
        };
        if answer.status.is_success() {
            through.insert(place);
        }
        let bites = answer.status.is_success() && (changed || !Attack::is_empty(&answer));
        *teeth.entry(attack.recipe).or_default() += usize::from(bites);
        if bites {
            verbs.insert((attack.relation.clone(), attack.method.to_string()));
        }
    }
    let blunt: Vec<&str> =
        teeth.iter().filter(|(name, n)| **n == 0 && !TOOTHLESS.contains(name)).map(|(n, _)| *n).collect();
    assert!(blunt.is_empty(), "recipes without effect even for the owner: {blunt:?}");
    for relation in scene.relations.iter().filter(|relation| !relation.is_partition) {
        for verb in verbs_of(relation) {
            assert!(
                verbs.contains(&(relation.name.clone(), (*verb).to_owned())),
                "{verb} {} never succeeded",
                relation.name
            );
        }
    }
    through
}

/// The methods that an owner must be able to use, so that their failure for others is meaningful.
fn verbs_of(relation: &Relation) -> &'static [&'static str] {
    match &*relation.name {
        "countries" | "todo_titles" | "visit_overview" => &["GET", "HEAD"],
        // Without a key there is no PUT; nobody may give an identity that is always generated.
        "account_names" | "todos" => &["GET", "HEAD", "POST", "PATCH", "DELETE"],
        // Todos hold on to their list.
        "lists" => &["GET", "HEAD", "POST", "PATCH"],
        _ => &["GET", "HEAD", "POST", "PATCH", "PUT", "DELETE"],
    }
}

/// A valid caller of another tenant.
async fn stranger_fails(scene: &Scene, name: &str, token: Option<&str>, tenant: Option<&str>) -> usize {
    let attacks = scene.attacks(&scene.rival).await;
    for relation in attacks.chunk_by(|a, b| a.relation == b.relation) {
        scene.restore().await;
        let before = scene.dump(tenant.unwrap_or_default()).await;
        let marks = scene.victim.marks(&before);
        for attack in relation {
            let answer = attack.send(&scene.app, token).await;
            let story = || format!("{name}: {attack:?}\n{answer:?}");
            assert!(!answer.status.is_server_error(), "{}", story());
            assert_eq!(attack.leak(&answer, &marks), None, "a leak to {}", story());
            assert!(as_expected(attack, &answer, tenant.is_some()), "{}", story());
            if let Some(total) = attack.counted(&answer) {
                assert!(total <= scene.own_count(attack, tenant).await, "counted too much for {}", story());
            }
            if attack.writes() && tenant.is_some() && answer.status.is_success() {
                assert_eq!(
                    row::crossing_references(&scene.superuser, &scene.relations).await,
                    0,
                    "{}",
                    story()
                );
                scene.restore_rival().await;
            }
        }
        let after = scene.dump(tenant.unwrap_or_default()).await;
        assert_eq!(before, after, "{name} changed foreign rows through {}", relation[0].relation);
    }
    attacks.len()
}

/// For a caller without own rows the answer may also be that nothing was changed.
fn as_expected(attack: &Attack, answer: &TestResponse, has_rows: bool) -> bool {
    match attack.expect {
        Expect::OwnRows => true,
        Expect::NoRow => Attack::is_empty(answer) || attack.recipe == "planned count",
        Expect::Refusal => answer.status.is_client_error() || (!has_rows && Attack::is_empty(answer)),
    }
}

/// A caller whose token names the tenant but is no longer valid is refused what the owner may do.
async fn dead_token_fails(
    scene: &Scene,
    name: &str,
    token: &str,
    attacks: &[Attack],
    bitten: &BTreeSet<usize>,
) -> usize {
    scene.restore().await;
    let before = scene.dump("").await;
    let marks = scene.victim.marks(&before);
    for (place, attack) in attacks.iter().enumerate() {
        let answer = attack.send(&scene.app, Some(token)).await;
        assert!(answer.status.is_client_error(), "{name}: {attack:?}\n{answer:?}");
        assert_eq!(attack.leak(&answer, &marks), None, "a leak to {name}: {attack:?}\n{answer:?}");
        let closed = matches!(answer.status.as_u16(), 401 | 403);
        assert!(closed || !bitten.contains(&place), "{name}: {attack:?}\n{answer:?}");
    }
    assert_eq!(before, scene.dump("").await, "{name} changed rows");
    attacks.len()
}
