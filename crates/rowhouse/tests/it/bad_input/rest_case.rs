//! Bad requests to the data API.

use reqwest::Method;

use super::{BODY_LIMIT, Case};

const TODOS: &str = "/rest/v1/todos";
const DEEP: usize = 20_000;

pub(super) fn cases() -> Vec<Case> {
    [
        bodies(),
        deep_bodies(),
        deep_queries(),
        names(),
        values(),
        grammar(),
        encodings(),
        headers(),
        media(),
        queries(),
        clauses(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn bodies() -> Vec<Case> {
    let mut all = Vec::new();
    for (name, body) in [
        ("empty", ""),
        ("blank", "  \n"),
        ("truncated object", r#"{"title":"x""#),
        ("truncated text", r#"{"title":"x"#),
        ("truncated array", r#"[{"title":"x"},"#),
        ("trailing garbage", r#"{"title":"x"} nonsense"#),
        ("two documents", r#"{"title":"x"}{"title":"y"}"#),
        ("trailing comma", r#"{"title":"x",}"#),
        ("single quotes", "{'title':'x'}"),
        ("bare word", "nonsense"),
        ("not a number", r#"{"rank":NaN}"#),
        ("leading zero", r#"{"title":"x","rank":01}"#),
        ("bad escape", r#"{"title":"\x"}"#),
        ("control character", "{\"title\":\"a\u{1}b\"}"),
        ("mixed keys", r#"[{"title":"x"},{"done":true}]"#),
        ("scalars in a list", "[1,2,3]"),
    ] {
        all.push(Case::new(&format!("insert {name}"), Method::POST, TODOS).body(body));
        all.push(Case::new(&format!("update {name}"), Method::PATCH, "/rest/v1/todos?rank=eq.1").body(body));
    }
    let call = |name: &str, body: &str| Case::new(name, Method::POST, "/rest/v1/rpc/add").body(body);
    all.extend([
        call("call without arguments", ""),
        call("call with too few", r#"{"a":1}"#),
        call("call with too many", r#"{"a":1,"b":2,"c":3}"#),
        call("call with the wrong type", r#"{"a":"one","b":2}"#),
        call("call truncated", r#"{"a":1,"b":"#),
        call("call with a list", "[1,2]"),
        call("call out of range", r#"{"a":2147483647,"b":1}"#),
        Case::new("body over the limit", Method::POST, TODOS)
            .body(vec![b' '; BODY_LIMIT as usize + 1])
            .is(413, "PGRST102"),
        Case::new("NUL as escape", Method::POST, TODOS).body(r#"{"title":"a\u0000b"}"#),
        Case::new("NUL as key", Method::POST, TODOS).body(r#"{"a\u0000b":"x"}"#),
        Case::new("NUL in a document", Method::POST, TODOS).body(r#"{"title":"x","details":{"a":"\u0000"}}"#),
        Case::new("NUL as byte", Method::POST, TODOS).body(b"{\"title\":\"a\0b\"}".to_vec()),
        Case::new("half a surrogate pair", Method::POST, TODOS).body(r#"{"title":"\ud800"}"#),
        Case::new("invalid UTF-8", Method::POST, TODOS).body(b"{\"title\":\"\xff\xfe\"}".to_vec()),
        Case::new("overlong UTF-8", Method::POST, TODOS).body(b"{\"title\":\"\xc0\x80\"}".to_vec()),
        Case::new("truncated UTF-8", Method::POST, TODOS).body(b"{\"title\":\"\xe2\x82\"}".to_vec()),
        Case::new("invalid UTF-8 as key", Method::POST, TODOS).body(b"{\"\xff\":1}".to_vec()),
        Case::new("invalid UTF-8 outside of texts", Method::POST, TODOS).body(b"\xff\xfe{}".to_vec()),
    ]);
    all
}

/// Caught by the scanner: PostgreSQL's own refusal would carry another code.
fn deep_bodies() -> Vec<Case> {
    let (lists, objects) = (nested("[", "", "]"), nested("{\"a\":", "1", "}"));
    let mut all = Vec::new();
    for (name, body) in [
        ("lists", lists.clone()),
        ("objects", objects.clone()),
        ("open lists", "[".repeat(DEEP)),
        ("open objects", "{\"a\":".repeat(DEEP)),
        ("a document in a row", format!("{{\"title\":\"x\",\"details\":{objects}}}")),
        ("a list in a row", format!("[{{\"title\":\"x\",\"details\":{lists}}}]")),
    ] {
        all.push(
            Case::new(&format!("deep {name}"), Method::POST, TODOS).body(body.clone()).is(400, "PGRST102"),
        );
        all.push(
            Case::new(&format!("deep {name} in an update"), Method::PATCH, TODOS)
                .body(body.clone())
                .is(400, "PGRST102"),
        );
        all.push(
            Case::new(&format!("deep {name} in a call"), Method::POST, "/rest/v1/rpc/add")
                .body(body)
                .is(400, "PGRST102"),
        );
    }
    all
}

fn deep_queries() -> Vec<Case> {
    let get = |name: &str, query: String| Case::new(name, Method::GET, &format!("{TODOS}?{query}"));
    vec![
        get("deep open tree", format!("or={}", "(or".repeat(DEEP))).is(400, "PGRST100"),
        get("deep open parentheses", format!("and={}", "(".repeat(DEEP))).is(400, "PGRST100"),
        get("deep negation", format!("and=({}", "not.".repeat(DEEP / 2))).is(400, "PGRST100"),
        get("deep select", format!("select={}", nested("a(", "id", ")"))).is(400, "PGRST100"),
        get("deep open select", format!("select={}", "a(".repeat(DEEP))).is(400, "PGRST100"),
        get("deep parentheses in select", format!("select={}", "(".repeat(DEEP))).is(400, "PGRST100"),
        get("deep tree", format!("and={}", nested("(", "id.eq.1", ")"))).is(400, "PGRST100"),
        get("deep key", format!("{}id=eq.1", "a.".repeat(DEEP))),
        get("deep arrow", format!("select=details{}", "->a".repeat(DEEP / 2))),
        get("deep arrow in a filter", format!("details{}=eq.1", "->a".repeat(DEEP / 2))),
        get("deep document as value", format!("details=cs.{}", nested("[", "", "]"))),
        get("deep list as value", format!("id=in.{}", "(".repeat(DEEP))),
        get("deep array as value", format!("title=cs.{}", "{".repeat(DEEP))),
        get("many columns", format!("select={}", ["id"; DEEP].join(","))),
        get("many orders", format!("order={}", ["id"; DEEP].join(","))),
    ]
}

fn nested(open: &str, core: &str, close: &str) -> String {
    format!("{}{core}{}", open.repeat(DEEP), close.repeat(DEEP))
}

fn names() -> Vec<Case> {
    let case = |name: &str, method: Method, path: &str| Case::new(name, method, path);
    let row = r#"{"nonsense":1}"#;
    vec![
        case("unknown table", Method::GET, "/rest/v1/nonsense").is(404, "PGRST205"),
        case("unknown table to write", Method::POST, "/rest/v1/nonsense").body(row).is(404, "PGRST205"),
        case("system table", Method::GET, "/rest/v1/pg_class"),
        case("qualified table", Method::GET, "/rest/v1/auth.users"),
        case("quoted table", Method::GET, "/rest/v1/%22todos%22%3Bdrop%20table%20todos"),
        case("unknown column selected", Method::GET, "/rest/v1/todos?select=nonsense").is(400, "42703"),
        case("unknown column filtered", Method::GET, "/rest/v1/todos?nonsense=eq.1").is(400, "42703"),
        case("unknown column ordered", Method::GET, "/rest/v1/todos?order=nonsense").is(400, "42703"),
        case("unknown column inserted", Method::POST, TODOS).body(row).is(400, "PGRST204"),
        case("unknown column updated", Method::PATCH, "/rest/v1/todos?rank=eq.1")
            .body(row)
            .is(400, "PGRST204"),
        case("unknown column named", Method::POST, "/rest/v1/todos?columns=nonsense").body(row),
        case("unknown conflict column", Method::POST, "/rest/v1/todos?on_conflict=nonsense")
            .header("prefer", "resolution=merge-duplicates")
            .body(r#"{"title":"x"}"#),
        case("conflict on no key", Method::POST, "/rest/v1/todos?on_conflict=title")
            .header("prefer", "resolution=merge-duplicates")
            .body(r#"{"title":"x"}"#),
        case("unknown function", Method::POST, "/rest/v1/rpc/nonsense").body("{}").is(404, "PGRST202"),
        case("unknown function read", Method::GET, "/rest/v1/rpc/nonsense?a=1").is(404, "PGRST202"),
        case("unknown embed", Method::GET, "/rest/v1/todos?select=*,nonsense(*)").is(400, "PGRST200"),
        case("unrelated embed", Method::GET, "/rest/v1/todos?select=*,countries(*)").is(400, "PGRST200"),
        case("filter on what is not embedded", Method::GET, "/rest/v1/todos?lists.name=eq.x"),
        case("path too long", Method::GET, "/rest/v1/todos/1").is(404, "PGRST125"),
        case("function path too long", Method::POST, "/rest/v1/rpc/add/more").body("{}"),
        case("unknown schema", Method::GET, TODOS).header("accept-profile", "auth").is(406, "PGRST106"),
        case("unknown schema to write", Method::POST, TODOS)
            .header("content-profile", "pg_catalog")
            .body("{}")
            .is(406, "PGRST106"),
        case("strange method", Method::TRACE, TODOS),
        case("method of its own", Method::from_bytes(b"STEAL").unwrap(), TODOS),
        case("function deleted", Method::DELETE, "/rest/v1/rpc/add"),
    ]
}

fn values() -> Vec<Case> {
    let get = |name: &str, query: &str| Case::new(name, Method::GET, &format!("{TODOS}?{query}"));
    let post = |name: &str, body: &str| Case::new(name, Method::POST, TODOS).body(body);
    vec![
        get("text for a number", "id=eq.abc").is(400, "22P02"),
        get("number too large", "id=eq.99999999999999999999999"),
        get("text for a truth", "done=eq.perhaps").is(400, "22P02"),
        get("bad uuid", "tenant_id=eq.123").is(400, "22P02"),
        get("bad uuid in a list", "tenant_id=in.(1,2)").is(400, "22P02"),
        get("bad regular expression", "title=match.%5B"),
        get("bad document", "details=cs.%7B"),
        get("bad range", "rank=ov.%5B1"),
        get("text search on a number", "rank=fts.x"),
        get("pattern on a number", "rank=like.*1*"),
        get("is something", "done=is.perhaps"),
        get("cast to nothing", "select=id::nonsense"),
        get("cast that fails", "select=title::int"),
        post("text into a number", r#"{"title":"x","rank":"many"}"#),
        post("number too large into a number", r#"{"title":"x","rank":9999999999}"#),
        post("document into a number", r#"{"title":"x","rank":{"a":1}}"#),
        post("list into a truth", r#"{"title":"x","done":[true]}"#),
        post("bad uuid into a tenant", r#"{"title":"x","tenant_id":"mine"}"#),
        post("nothing into what must be", r#"{"title":null}"#),
        post("no parent", r#"{"title":"x","list_id":424242}"#).is(409, "23503"),
        post("an identity", r#"{"id":5,"title":"x"}"#),
        Case::new("half of a batch", Method::POST, TODOS)
            .body(r#"[{"title":"good","rank":1},{"title":"bad","rank":"many"}]"#),
        Case::new("update to what must not be", Method::PATCH, "/rest/v1/todos?rank=eq.1")
            .body(r#"{"title":null}"#),
        Case::new("write into shared rows", Method::POST, "/rest/v1/countries")
            .body(r#"{"code":"FR","name":"France"}"#),
        Case::new("write into a joined function", Method::PATCH, "/rest/v1/rpc/open_todos").body("{}"),
    ]
}

fn grammar() -> Vec<Case> {
    let queries = [
        "id=nonsense.1",
        "id=1",
        "id=",
        "id=eq",
        "id=.1",
        "id=not.1",
        "id=not.not.eq.1",
        "id=eq(any).1",
        "id=in.1",
        "id=in.(1",
        "or=",
        "or=()",
        "or=(id.eq.1",
        "or=id.eq.1",
        "or=(id.nonsense.1)",
        "or=(id)",
        "and=(id.eq.1,)",
        "and=(,id.eq.1)",
        "not.or=(",
        "select=id,",
        "select=,id",
        "select=(",
        "select=id)",
        "select=lists(",
        "select=lists(id",
        "select=...",
        "select=id::",
        "select=a:b:c",
        "select=details->",
        "select=details->>",
        "select=%22id",
        "order=id.nonsense",
        "order=,",
        "order=.desc",
        "order=id.desc.nonsense",
        "limit=-1",
        "columns=%22",
        "=eq.1",
        "select=id%20id",
        "select=id%3Bdrop%20table%20todos",
    ];
    let mut all: Vec<Case> = queries
        .iter()
        .map(|query| Case::new(&format!("?{query}"), Method::GET, &format!("{TODOS}?{query}")))
        .collect();
    all.push(
        Case::new("limit with PUT", Method::PUT, "/rest/v1/todos?id=eq.1&limit=1")
            .body(r#"{"id":1,"title":"x"}"#),
    );
    all.push(Case::new("PUT without key", Method::PUT, TODOS).body(r#"{"id":1,"title":"x"}"#));
    all.push(
        Case::new("PUT with another key", Method::PUT, "/rest/v1/todos?id=eq.1")
            .body(r#"{"id":2,"title":"x"}"#),
    );
    all.push(Case::new("PUT without a body", Method::PUT, "/rest/v1/todos?id=eq.1").body(""));
    all
}

fn encodings() -> Vec<Case> {
    let get = |name: &str, path: &str| Case::new(name, Method::GET, path);
    vec![
        get("invalid UTF-8 in a value", "/rest/v1/todos?title=eq.%ff"),
        get("invalid UTF-8 in a name", "/rest/v1/todos?%ff=eq.1"),
        get("invalid UTF-8 in select", "/rest/v1/todos?select=%c3%28"),
        get("invalid UTF-8 in the path", "/rest/v1/to%ffdos"),
        get("invalid UTF-8 in a function's name", "/rest/v1/rpc/%ff"),
        get("invalid UTF-8 in an argument", "/rest/v1/rpc/add?a=%ff&b=1"),
        get("NUL in a value", "/rest/v1/todos?title=eq.a%00b"),
        get("NUL in a name", "/rest/v1/todos?a%00b=eq.1"),
        get("NUL in select", "/rest/v1/todos?select=id%00"),
        get("NUL in order", "/rest/v1/todos?order=id%00"),
        get("NUL in a tree", "/rest/v1/todos?or=(title.eq.%00)"),
        get("NUL in the path", "/rest/v1/to%00dos"),
        get("NUL in an argument", "/rest/v1/rpc/add?a=%00&b=1"),
        get("overlong NUL", "/rest/v1/todos?title=eq.%c0%80"),
        get("surrogate", "/rest/v1/todos?title=eq.%ed%a0%80"),
        get("half a percent", "/rest/v1/todos?id=eq.%"),
        get("nonsense percent", "/rest/v1/todos?id=eq.%zz"),
        get("path that climbs", "/rest/v1/..%2f..%2fetc%2fpasswd"),
    ]
}

fn headers() -> Vec<Case> {
    let get = |name: &str, header: &'static str, value: &str| {
        Case::new(name, Method::GET, TODOS).header(header, value)
    };
    vec![
        get("range upside down", "range", "9-3").is(416, "PGRST103"),
        get("range far beyond", "range", "5000-6000").header("prefer", "count=exact").is(416, "PGRST103"),
        get("range of nonsense", "range", "nonsense").tolerated(),
        get("range of bytes", "range", "bytes=0-99999999999999999999999").tolerated(),
        get("range without end", "range", "-").tolerated(),
        get("range too large", "range", "99999999999999999999999-").tolerated(),
        get("many ranges", "range", "0-1,5-6").tolerated(),
        get("strict and unknown preference", "prefer", "handling=strict,nonsense=1").is(400, "PGRST122"),
        get("unknown preference", "prefer", "nonsense, =, ;;, return=").tolerated(),
        get("bad most", "prefer", "handling=strict,max-affected=many").tolerated(),
        get("bad time zone", "prefer", "handling=strict,timezone=Nowhere/Land").tolerated(),
        get("unknown format", "accept", "application/nonsense").is(406, "PGRST107"),
        get("bad format", "accept", ";;;,,/").tolerated(),
        get("one of none", "accept", "application/vnd.pgrst.object+json").header("range", "0-0").tolerated(),
        Case::new("preference that is no text", Method::GET, TODOS)
            .header("prefer", b"\xff\xfe".to_vec())
            .tolerated(),
        Case::new("profile that is no text", Method::GET, TODOS)
            .header("accept-profile", b"\xff".to_vec())
            .tolerated(),
        Case::new("header that is no text", Method::GET, TODOS)
            .header("x-anything", b"\xff\x80\"\\".to_vec())
            .tolerated(),
        Case::new("cookie that is no text", Method::GET, TODOS)
            .header("cookie", b"a=\xff; \"\\=\x80".to_vec())
            .tolerated(),
        Case::new("large header", Method::GET, TODOS).header("x-anything", "x".repeat(30_000)).tolerated(),
    ]
}

fn media() -> Vec<Case> {
    let post = |name: &str, kind: &[u8], body: &str| {
        Case::new(name, Method::POST, TODOS).header("content-type", kind.to_vec()).body(body)
    };
    vec![
        post("image", b"image/png", r#"{"title":"x"}"#),
        post("plain text", b"text/plain", r#"{"title":"x"}"#),
        post("bytes", b"application/octet-stream", r#"{"title":"x"}"#),
        post("multipart", b"multipart/form-data; boundary=x", "--x--"),
        post("no media type", b";;;", r#"{"title":"x"}"#),
        post("media type that is no text", b"\xff", "{}"),
        post("form that is none", b"application/x-www-form-urlencoded", "nonsense=%ff"),
        post("form with a wrong column", b"application/x-www-form-urlencoded", "nonsense=1"),
        Case::new("bytes to a function", Method::POST, "/rest/v1/rpc/add")
            .header("content-type", "application/octet-stream")
            .body("x"),
        Case::new("image to a function", Method::POST, "/rest/v1/rpc/add")
            .header("content-type", "image/png")
            .body("x"),
    ]
}

/// A body of QUERY may be long, so costs that a URL's length bounds must be bounded explicitly.
fn queries() -> Vec<Case> {
    let case = |name: &str, path: &str, body: Vec<u8>| {
        Case::new(name, Method::from_bytes(b"QUERY").unwrap(), path)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body)
    };
    let query = |name: &str, body: String| case(name, TODOS, body.into_bytes());
    let json = Case::new("JSON as QUERY", Method::from_bytes(b"QUERY").unwrap(), TODOS).body("{}");
    vec![
        json.is(415, "PGRST102"),
        Case::new("QUERY without type", Method::from_bytes(b"QUERY").unwrap(), TODOS).is(415, "PGRST102"),
        case("QUERY of the root", "/rest/v1/", Vec::new()).is(405, "PGRST117"),
        case("QUERY that is no text", TODOS, b"title=eq.\xff".to_vec()).is(400, "PGRST100"),
        case("QUERY with encoded rubbish", TODOS, b"title=eq.%ff".to_vec()).is(400, "PGRST100"),
        case("QUERY with NUL", TODOS, b"title=eq.a\0b".to_vec()).is(400, "PGRST100"),
        case("QUERY with a wrong argument", "/rest/v1/rpc/add", b"a=x&b=1".to_vec()).is(400, "22P02"),
        case("QUERY over the limit", TODOS, vec![b'a'; BODY_LIMIT as usize + 1]).is(413, "PGRST102"),
        query("QUERY with many parameters", "id=eq.1&".repeat(40_000)).is(400, "PGRST100"),
        query("QUERY with many nothings", "&".repeat(390_000)).tolerated(),
        query("QUERY with many limits", "a.limit=1&".repeat(16_000)).is(400, "PGRST100"),
        query("QUERY with a deep key", format!("{}id=eq.1", "a.".repeat(100_000))).is(400, "PGRST100"),
        query("QUERY with a long select", format!("select={}", "id,".repeat(100_000))).is(400, "PGRST100"),
        query("QUERY with many embeds", format!("select={}", "lists(id),".repeat(30_000)))
            .is(400, "PGRST100"),
        query("QUERY with a long order", format!("order={}", "id,".repeat(100_000))).is(400, "PGRST100"),
        query("QUERY with a long tree", format!("or=({}id.eq.1)", "id.eq.1,".repeat(40_000)))
            .is(400, "PGRST100"),
        query("QUERY with a deep tree", format!("or={}", "(or".repeat(100_000))).is(400, "PGRST100"),
        query("QUERY with a long path", format!("or=(details{}.eq.1)", "->a".repeat(100_000)))
            .is(400, "PGRST100"),
        query("QUERY with a long path in a key", format!("details{}=eq.1", "->a".repeat(100_000))),
        query(
            "QUERY with conditions at the limit",
            format!("or=({}rank.is.true)", "id.is.null,".repeat(16_000)),
        ),
        query("QUERY with a list of rubbish", format!("id=in.({}x)", "1,".repeat(100_000))).is(400, "22P02"),
        query("QUERY with a list that does not end", format!("id=in.({}", "1,".repeat(100_000)))
            .is(400, "PGRST100"),
    ]
}

fn clauses() -> Vec<Case> {
    let get = |query: &str| Case::new(&format!("?{query}"), Method::GET, &format!("{TODOS}?{query}"));
    let mut all: Vec<Case> = [
        "distinct=(",
        "distinct=(id",
        "distinct=(id,)",
        "distinct=(id)x",
        "distinct=((id))",
        "distinct=(*)",
        "distinct=id",
        "lists.distinct=(id)",
        "select=rank&having=",
        "select=rank&having=(",
        "select=rank&having=()",
        "select=rank&having=(rank.gt.1)",
        "select=rank&having=(count().nonsense.1)",
        "select=rank&having=(count().fts.x)",
        "select=rank&having=count().gt.1",
        "order=rank.sum(",
        "order=rank.nonsense()",
    ]
    .iter()
    .map(|query| get(query))
    .collect();
    all.extend([
        get("distinct=(nonsense)").is(400, "42703"),
        get("select=id&distinct=()&order=rank").is(400, "PGRST190"),
        get("distinct=(details->>a)").is(400, "PGRST190"),
        get("select=rank&having=(count().gt.1)").is(400, "PGRST123"),
        get("select=rank&order=count()").is(400, "PGRST123"),
        get(&format!("select=rank&having={}", "(or".repeat(DEEP))).is(400, "PGRST100"),
        get(&format!("distinct=({})", ["id"; DEEP].join(","))).is(400, "PGRST100"),
        Case::new("distinct in a write", Method::PATCH, "/rest/v1/todos?rank=eq.1&distinct=(rank)")
            .body(r#"{"title":"x"}"#)
            .is(400, "PGRST190"),
    ]);
    all
}
