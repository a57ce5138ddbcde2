use super::*;
use crate::error::{Error, ErrorResponse};
use crate::plan::tests::{request, schema};
use crate::plan::{Total, plan};
use crate::sql;

/// The limits of a role `reader` with `settings`, in a tenant without any; the server's timeout is 8 s.
fn of(caller: &Caller, snapshot: &Snapshot) -> Result<RequestLimits, LimitError> {
    let sources = LimitSources {
        default_timeout: Duration::from_secs(8),
        tenants: Arc::default(),
        plans_for_all: false,
    };
    sources.of(caller, snapshot)
}

fn reader() -> Caller {
    Caller { role: "reader".into(), ..Caller::anonymous() }
}

fn with(settings: &[(&str, &str)]) -> Snapshot {
    let mut snapshot = schema();
    for (name, value) in settings {
        snapshot.set_for_role("reader", (*name).to_owned(), (*value).to_owned());
    }
    snapshot
}

fn refused(error: LimitError) -> (u16, String, String) {
    let failure = ErrorResponse::from(Error::from(error));
    (failure.status.as_u16(), failure.code, failure.details.unwrap_or_default().to_string())
}

fn times(
    role: Option<&str>,
    function: Option<&str>,
    tenant: Option<u64>,
) -> (Option<String>, Option<String>) {
    let settings: Vec<_> = role.iter().map(|value| (TIMEOUT, *value)).collect();
    let (caller, snapshot) = (reader(), with(&settings));
    let mut limits = of(&caller, &snapshot).unwrap();
    limits.tenant_timeout = tenant.map(Duration::from_millis);
    let timeout = limits.timeout(function, None).unwrap();
    let holder =
        timeout.of_caller.map(|bound| bound.role.map_or("tenant".to_owned(), |role| role.to_string()));
    (timeout.milliseconds, holder)
}

#[test]
fn timeout_is_the_functions_or_the_roles_or_the_servers_and_at_most_the_tenants() {
    let times_of = |millis: &str, holder: Option<&str>| (Some(millis.to_owned()), holder.map(str::to_owned));
    assert_eq!(times(None, None, None), (None, None), "nothing is sent where nothing is set");
    assert_eq!(times(Some("3s"), None, None), times_of("3000", Some("reader")));
    assert_eq!(times(Some("30s"), None, None), times_of("30000", Some("reader")), "a role may have more");
    assert_eq!(times(Some("3s"), Some("20s"), None), times_of("20000", None));
    assert_eq!(times(Some("3s"), Some("20s"), Some(2_000)), times_of("2000", Some("tenant")));
    assert_eq!(times(Some("3s"), None, Some(5_000)), times_of("3000", Some("reader")));
    assert_eq!(times(None, None, Some(2_000)), times_of("2000", Some("tenant")));
    assert_eq!(times(None, None, Some(60_000)), times_of("8000", None), "a tenant's limit lifts nothing");
    assert_eq!(times(Some("0"), None, Some(60_000)), times_of("60000", Some("tenant")));
}

#[test]
fn durations_are_read_as_postgresql_reads_them() {
    let millis = |text| setting::duration(text).map(|duration| duration.as_millis());
    let read = ["250", "3s", " 1.5 s ", "2min", "1h", "1d", "10us", "0", "1e3"].map(millis);
    let expected = [250, 3_000, 1_500, 120_000, 3_600_000, 86_400_000, 1, 0, 1_000];
    assert_eq!(read, expected.map(Some));
    assert_eq!(["", "s", "-1", "3 weeks", "inf", "nan", "1e300d"].map(millis), [None; 7]);
}

#[test]
fn invalid_limit_refuses_requests_instead_of_lifting_the_limit() {
    for (name, value) in [(MAX_ROWS, "1k"), (MAX_ROWS, "0"), (MAX_COST, "inf"), (MAX_COST, "-1")] {
        let (caller, snapshot) = (reader(), with(&[(name, value)]));
        let failure = ErrorResponse::from(Error::from(of(&caller, &snapshot).err().unwrap()));
        assert_eq!((failure.status.as_u16(), &*failure.code), (500, "RHL00"), "{name} {value}");
        assert!(failure.message.contains(name), "{failure:?}");
    }
}

#[test]
fn requests_are_refused_until_tenants_limits_are_loaded() {
    let caller = Caller { tenant: Some("00000000-0000-7000-8000-000000000001".parse().unwrap()), ..reader() };
    assert_eq!(of(&caller, &schema()).unwrap_err(), LimitError::NotLoaded);
}

#[test]
fn explicit_limit_above_the_allowed_is_refused_at_every_depth() {
    let (caller, snapshot) = (reader(), with(&[(MAX_ROWS, "10")]));
    let limits = of(&caller, &snapshot).unwrap();
    let check =
        |target: &str, headers: &[&str]| limits.check(&request("GET", target, headers, "")).map_err(refused);
    assert_eq!(check("/todos", &[]), Ok(()));
    assert_eq!(check("/todos?limit=10&offset=100", &[]), Ok(()));
    let refusal = "11 rows were asked for; the role reader may have 10 at a time.".to_owned();
    let refusal = Err((422, "RHL01".to_owned(), format!("\"{refusal}\"")));
    assert_eq!(check("/todos?limit=11", &[]), refusal);
    assert_eq!(check("/todos", &["range: 0-10"]), refusal);
    assert_eq!(check("/todos?select=id,lists(id)&lists.limit=11", &[]), refusal);
}

#[test]
fn rows_are_capped_by_the_strictest_limit() {
    let (caller, snapshot) = (reader(), with(&[(MAX_ROWS, "10")]));
    let limits = of(&caller, &snapshot).unwrap();
    for (server, effective) in [(None, 10), (Some(5), 5), (Some(50), 10)] {
        let settings = RestSettings { max_rows: server, ..RestSettings::default() };
        assert_eq!(limits.settings(&settings).max_rows, Some(effective));
    }
    let name: Arc<str> = "reader".into();
    let bound = |most, role: Option<&Arc<str>>| Some(Limit { most, role: role.cloned() });
    assert_eq!(stricter(&name, Some(10), Some(9)), bound(9, None));
    assert_eq!(stricter(&name, Some(10), Some(10)), bound(10, Some(&name)));
    assert_eq!(stricter::<i64>(&name, None, None), None);
}

#[test]
fn written_rows_are_bounded_unless_the_client_bounds_them_closer() {
    let (caller, snapshot) = (reader(), with(&[(MAX_ROWS, "10")]));
    for (preference, high, ours) in
        [("return=minimal", 10, true), ("handling=strict, max-affected=3", 3, false)]
    {
        let header = format!("prefer: {preference}");
        let request = request("DELETE", "/todos?id=gt.1", &[&header], "");
        let limits = of(&caller, &snapshot).unwrap();
        let plan = limits.apply(plan(&request, &snapshot, &RestSettings::default()).unwrap());
        let Plan::Write(write) = &plan else { panic!("a write") };
        assert_eq!(write.bounds, Some(RowBounds { low: None, high: Some(high), of_limits: ours }));
        assert_eq!(limits.written(11, &plan).is_some(), ours);
    }
}

#[test]
fn only_timeouts_of_role_or_tenant_are_reported_as_limits() {
    let (caller, snapshot) = (reader(), with(&[(TIMEOUT, "3s")]));
    let limits = of(&caller, &snapshot).unwrap();
    let (own, limit) = (limits.timeout(None, None).unwrap(), Duration::from_secs(3));
    assert_eq!(RequestLimits::timed_out(&Timeout::default(), limit), None);
    assert_eq!(RequestLimits::timed_out(&own, limit / 2), None, "somebody else has cancelled the statement");
    let exceeded = RequestLimits::timed_out(&own, limit).unwrap();
    let details = "\"Statements of the role reader may run for 3000 ms.\"".to_owned();
    assert_eq!(refused(LimitError::Exceeded(exceeded)), (422, "57014".to_owned(), details));
}

#[test]
fn cost_is_reported_rounded() {
    let bound = Limit { most: 100.0, role: None };
    let (_, code, details) = refused(LimitError::Exceeded(Exceeded::Cost { cost: Some(123_456.78), bound }));
    assert_eq!(code, "RHL02");
    assert!(details.contains("about 120000; that of this tenant may be 100."), "{details}");
}

#[test]
fn inserts_and_plan_requests_are_not_limited_by_cost() {
    let snapshot = schema();
    let settings = RestSettings { plan_enabled: true, ..RestSettings::default() };
    let is_costed = |method: &str, headers: &[&str], body: &str| {
        let request = request(method, "/todos", headers, body);
        sql::cost(&plan(&request, &snapshot, &settings).unwrap(), true).map(|query| query.sql)
    };
    let read = is_costed("GET", &[], "").unwrap();
    assert!(read.starts_with("explain (format json) select "), "{read}");
    assert!(is_costed("DELETE", &[], "").is_some());
    assert_eq!(is_costed("POST", &[], "{}"), None);
    assert_eq!(is_costed("GET", &["accept: application/vnd.pgrst.plan"], ""), None);
    let analyzed = is_costed("GET", &["accept: application/vnd.pgrst.plan; options=analyze"], "");
    assert_eq!(analyzed.map(|sql| sql.matches("explain").count()), Some(1));
}

#[test]
fn under_row_security_statistics_are_neither_shown_nor_used() {
    let mut snapshot = schema();
    let (caller, settings) = (reader(), RestSettings { plan_enabled: true, ..RestSettings::default() });
    let seen = |snapshot: &Snapshot, preference: &str| {
        let header = format!("prefer: count={preference}");
        let request = request("GET", "/todos?id=gt.1&limit=3", &[&header], "");
        let limits = of(&caller, snapshot).unwrap();
        let plan = limits.apply(plan(&request, snapshot, &settings).unwrap());
        (
            plan.total().is_estimate() && plan.total() != Total::CountedEstimate,
            limits.settings(&settings).plan_enabled,
        )
    };
    for preference in ["planned", "estimated"] {
        assert_eq!(seen(&snapshot, preference), (false, false), "{preference}");
    }
    let request = request("GET", "/todos?title=eq.secret&limit=3&offset=2", &[], "");
    let query = sql::cost(&plan(&request, &snapshot, &settings).unwrap(), false).unwrap();
    let sent: Vec<_> = query.params.iter().flatten().map(|value| String::from_utf8_lossy(value)).collect();
    assert!(sent[0].ends_with("= $1 limit 3 offset 2) rowhouse_row"), "{sent:?}");
    assert!(!sent.iter().any(|value| value.contains("secret")), "{sent:?}");
    snapshot.let_bypass_row_security("reader".to_owned());
    assert_eq!(seen(&snapshot, "planned"), (true, true));
}
