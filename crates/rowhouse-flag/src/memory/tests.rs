use rowhouse_kernel::{SERVICE_ROLE, TenantId};

use super::*;

fn with_routes(routes: &[(&str, &str)], on: &[&str]) -> Flags {
    let mut loaded = Loaded::default();
    for (route, flag) in routes {
        loaded.routes.entry((*route).to_owned()).or_default().push((*flag).to_owned());
    }
    for name in on {
        let flag = Definition {
            kind: Kind::Boolean,
            bucket_by: Scope::User,
            default: Value::On,
            share: 0,
            variants: Vec::new(),
            weights: Vec::new(),
            rules: Vec::new(),
            overrides: HashMap::new(),
            is_public: false,
            sunset_on: None,
        };
        loaded.flags.insert((*name).to_owned(), flag);
    }
    let flags = Flags::default();
    flags.store(loaded);
    flags
}

#[test]
fn route_closes_what_is_below_it_and_nothing_beside() {
    let flags = with_routes(
        &[("/rest/v1/crm_deals", "crm"), ("/admin/v1/jobs", "jobs"), ("/mail/v1", "mail")],
        &["jobs"],
    );
    assert!(flags.is_armed());
    for closed in
        ["/rest/v1/crm_deals", "/rest/v1/crm_deals/", "/rest/v1/crm_deals/x/y", "/mail/v1", "/mail/v1/send"]
    {
        assert!(flags.is_closed(closed, None), "{closed}");
    }
    for open in [
        "/",
        "",
        "/rest/v1",
        "/rest/v1/crm_deals_2",
        "/rest/v1/crm",
        "/x/rest/v1/crm_deals",
        "/admin/v1/jobs/1",
    ] {
        assert!(!flags.is_closed(open, None), "{open}");
    }
}

#[test]
fn one_flag_that_is_off_closes_and_the_service_role_is_never_kept_out() {
    let flags = with_routes(&[("/a/b", "on"), ("/a/b", "off"), ("/a/c", "on")], &["on"]);
    assert!(flags.is_closed("/a/b", Some(&Caller::anonymous())));
    assert!(!flags.is_closed("/a/c", Some(&Caller::anonymous())));
    let service = Caller { role: SERVICE_ROLE.into(), ..Caller::anonymous() };
    assert!(!flags.is_closed("/a/b", Some(&service)));
}

#[test]
fn nothing_is_armed_without_routes_and_an_unknown_flag_is_off() {
    let flags = with_routes(&[], &["on"]);
    assert!(!flags.is_armed());
    let subject = Subject { tenant: Some(TenantId(Uuid::from_u128(1))), ..Subject::default() };
    assert!(flags.is_enabled("on", &subject) && !flags.is_enabled("other", &subject));
    assert_eq!(flags.evaluate("other", &subject), Evaluation::UNKNOWN);
}
