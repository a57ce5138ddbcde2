use super::*;

fn flag(kind: Kind) -> Definition {
    Definition {
        kind,
        bucket_by: Scope::User,
        default: if kind == Kind::Boolean { Value::Off } else { Value::Rollout },
        share: 0,
        variants: Vec::new(),
        weights: Vec::new(),
        rules: Vec::new(),
        overrides: HashMap::new(),
        is_public: false,
        sunset_on: None,
    }
}

fn user(number: u128) -> Subject {
    Subject { user: Some(UserId(Uuid::from_u128(number))), ..Subject::default() }
}

/// Known to other programs: printed by `printf %s 'new-editor:…' | sha256sum`.
#[test]
fn bucket_is_of_the_first_four_bytes_of_sha256() {
    let subject = Uuid::from_u128(7);
    assert_eq!(subject.to_string(), "00000000-0000-0000-0000-000000000007");
    assert_eq!(bucket("new-editor", subject), 5346);
}

#[test]
fn greater_share_contains_every_smaller_one() {
    let mut rollout = flag(Kind::Percentage);
    let mut before: Vec<u128> = Vec::new();
    for percent in [0, 1, 10, 20, 50, 100] {
        rollout.share = percent * 100;
        let on = (0..5000).filter(|number| rollout.is_on("x", &user(*number), None)).collect::<Vec<_>>();
        assert!(before.iter().all(|number| on.contains(number)), "{percent} %");
        let expected = 50.0 * f64::from(percent);
        let deviation = (f64::from(u32::try_from(on.len()).unwrap()) - expected).abs();
        // Four standard deviations of 5,000 draws at one half.
        assert!(deviation <= 142.0, "{percent} %: {} of 5000", on.len());
        before = on;
    }
    assert_eq!(before.len(), 5000);
}

#[test]
fn shares_of_two_flags_are_independent() {
    let tenth = Definition { share: 1000, ..flag(Kind::Percentage) };
    let both = (0..20_000)
        .filter(|number| tenth.is_on("a", &user(*number), None) && tenth.is_on("b", &user(*number), None))
        .count();
    assert!((140..=260).contains(&both), "{both} of 20000, expected about 200");
}

#[test]
fn variants_get_their_weights_share_and_those_without_weight_nobody() {
    let mut test = flag(Kind::Variant);
    test.variants = ["none", "red", "blue"].map(str::to_owned).into();
    test.weights = vec![0, 30, 10];
    let mut counts: HashMap<String, u32> = HashMap::new();
    for number in 0..4000 {
        let evaluation = test.evaluate("colour", &user(number), None);
        assert!(evaluation.is_on);
        *counts.entry(evaluation.variant.unwrap()).or_default() += 1;
    }
    assert_eq!(counts.len(), 2, "{counts:?}");
    assert!((2860..=3140).contains(&counts["red"]), "{counts:?}");
    test.weights = vec![0, 0, 0];
    assert!(!test.is_on("colour", &user(1), None));
}

#[test]
fn most_specific_override_wins_over_rules_and_default() {
    let subject = Subject {
        organization: Some(OrganizationId(Uuid::from_u128(1))),
        tenant: Some(TenantId(Uuid::from_u128(2))),
        user: Some(UserId(Uuid::from_u128(3))),
    };
    let mut module = flag(Kind::Boolean);
    let decided = |module: &Definition| {
        let evaluation = module.evaluate("x", &subject, Some("pro"));
        (evaluation.reason, evaluation.is_on, evaluation.rule)
    };
    assert_eq!(decided(&module), (Reason::Default, false, None));
    let plans = |plan: &str| Some(vec![plan.to_owned()]);
    let of = |position, plan, value| Rule { position, plans: plans(plan), value, ..Rule::default() };
    module.rules = vec![of(1, "free", Value::Off), of(2, "pro", Value::On), of(3, "pro", Value::Off)];
    assert_eq!(decided(&module), (Reason::Rule, true, Some(2)));
    for (scope, id, value, reason) in [
        (Scope::Organization, 1, Value::Off, Reason::OrganizationOverride),
        (Scope::Tenant, 2, Value::On, Reason::TenantOverride),
        (Scope::User, 3, Value::Off, Reason::UserOverride),
    ] {
        module.overrides.insert((scope, Uuid::from_u128(id)), value);
        assert_eq!(decided(&module), (reason, value == Value::On, None));
    }
    assert!(module.is_on("x", &Subject { user: None, ..subject }, None));
}

#[test]
fn all_conditions_of_a_rule_have_to_hold() {
    let rule = Rule {
        tenants: Some(vec![Uuid::from_u128(2)]),
        plans: Some(vec!["pro".to_owned()]),
        ..Rule::default()
    };
    let of = |tenant| Subject { tenant: Some(TenantId(Uuid::from_u128(tenant))), ..Subject::default() };
    assert!(rule.applies(&of(2), Some("pro")));
    for (subject, plan) in
        [(of(2), None), (of(2), Some("free")), (of(1), Some("pro")), (user(2), Some("pro"))]
    {
        assert!(!rule.applies(&subject, plan), "{subject:?} {plan:?}");
    }
}

#[test]
fn rollout_without_its_subject_is_off() {
    let all = Definition { share: 10_000, bucket_by: Scope::Tenant, ..flag(Kind::Percentage) };
    assert!(!all.is_on("x", &user(1), None));
}
