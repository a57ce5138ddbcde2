//! From a list of random numbers to a request that the grammar knows, and what its rows should look like.

use std::fmt::Write as _;

/// One resource of a request, with the names under which its parts come back.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// The protected table whose rows these are.
    pub(crate) table: &'static str,
    /// Name in the answer, and column.
    pub(crate) columns: Vec<(String, &'static str)>,
    /// Name in the answer, whether its columns stand among ours, and what it is.
    pub(crate) embeds: Vec<(String, bool, Node)>,
}

/// A request, and the shape of the rows that it asks for.
#[derive(Debug, Clone)]
pub(crate) struct Shaped {
    pub(crate) method: &'static str,
    pub(crate) target: String,
    pub(crate) headers: Vec<(&'static str, &'static str)>,
    pub(crate) body: &'static str,
    /// Unset where no rows can be told apart: aggregates, other media types, rubbish inside.
    pub(crate) node: Option<Node>,
    /// Columns that the body changes.
    pub(crate) changed: &'static [&'static str],
    /// The root's table, whose visible rows bound a total.
    pub(crate) table: &'static str,
}

/// Tables, views and functions: path, protected table beneath, what can be embedded.
type Resource = (&'static str, &'static str, &'static [Link]);
/// Target with its hint, index of the resource there, whether it is to one.
type Link = (&'static str, usize, bool);

const RESOURCES: &[Resource] = &[
    ("notes", "notes", NOTE_LINKS),
    ("projects", "projects", &[("notes", 0, false), ("starred", 4, false)]),
    ("people", "people", &[("notes!notes_writer_fkey", 0, false), ("notes!notes_reader_fkey", 0, false)]),
    ("tags", "tags", &[("notes", 0, false), ("notes_tags", 6, false)]),
    ("starred", "notes", &[("projects", 1, true)]),
    ("rpc/notes_with", "notes", NOTE_LINKS),
    ("notes_tags", "notes_tags", &[("notes", 0, true), ("tags", 3, true)]),
];
const NOTE_LINKS: &[Link] = &[
    ("projects", 1, true),
    ("people!notes_writer_fkey", 2, true),
    ("people!notes_reader_fkey", 2, true),
    ("tags", 3, false),
    ("notes_tags", 6, false),
    ("neighbours", 0, false),
];

const OPERATORS: &[&str] = &[
    "eq.",
    "neq.",
    "gt.",
    "gte.",
    "lt.",
    "lte.",
    "not.eq.",
    "like.",
    "ilike.",
    "match.",
    "in.(",
    "not.in.(",
    "is.",
    "isdistinct.",
    "eq(any).{",
    "like(any).{",
    "fts.",
    "wfts.",
    "cs.{",
    "ov.{",
];
const VALUES: &[&str] = &[
    "101",
    "201",
    "103",
    "203",
    "0",
    "1",
    "-1",
    "2",
    "null",
    "not_null",
    "note1*",
    "*",
    "x",
    "project",
    "%25",
    "",
    "true",
    "99999999999999999999",
    "%27%20or%201=1--",
    "%22",
    "\\",
    "%00",
    "1e5",
    "{",
    ")",
];
const BODIES: &[(&str, &[&str])] = &[
    (r#"{"stars": 3}"#, &["stars"]),
    (r#"{"body": "changed", "stars": null}"#, &["body", "stars"]),
    (r#"{"name": "changed"}"#, &["name"]),
    (r#"{"tenant_id": "00000000-0000-0000-0000-00005eed0001"}"#, &["tenant_id"]),
    (r#"{"id": 201}"#, &["id"]),
    (r#"[{"id": 900, "body": "made", "project_id": 201}]"#, &[]),
    (r#"[{"id": 901, "name": "made"}, {"id": 201, "name": "taken"}]"#, &[]),
    (r#"{"id":"#, &[]),
];

struct Chooser<'a>(std::slice::Iter<'a, u32>);

impl Chooser<'_> {
    fn below(&mut self, bound: usize) -> usize {
        self.0.next().map_or(0, |number| *number as usize % bound)
    }

    /// True once in `of` times.
    fn once_in(&mut self, of: usize) -> bool {
        self.below(of) == of - 1
    }

    fn of<'t, T>(&mut self, things: &'t [T]) -> &'t T {
        &things[self.below(things.len())]
    }
}

fn columns(table: &str, path: &str) -> &'static [&'static str] {
    match (table, path) {
        (_, "starred") => &["id", "body", "stars", "project_id"],
        ("notes", _) => &["id", "body", "stars", "labels", "project_id", "writer_id", "tenant_id"],
        ("projects", _) => &["id", "name", "size", "meta", "tenant_id"],
        ("notes_tags", _) => &["note_id", "tag_id", "tenant_id"],
        _ => &["id", "name", "tenant_id"],
    }
}

/// The key of a table's rows.
pub(crate) fn key(table: &str) -> &'static [&'static str] {
    if table == "notes_tags" { &["note_id", "tag_id"] } else { &["id"] }
}

/// Writes a select list and remembers it. Parts have names of their own, so spreads cannot collide.
fn select(chooser: &mut Chooser<'_>, at: usize, depth: usize, next: &mut usize, text: &mut String) -> Node {
    let (path, table, links) = RESOURCES[at];
    let mut node = Node { table, columns: Vec::new(), embeds: Vec::new() };
    let extra = (0..chooser.below(3)).map(|_| *chooser.of(columns(table, path))).collect::<Vec<_>>();
    for column in key(table).iter().copied().chain(extra) {
        *next += 1;
        let name = format!("c{next}");
        let _ = write!(text, "{}{name}:{column}", if node.columns.is_empty() { "" } else { "," });
        node.columns.push((name, column));
    }
    for _ in 0..chooser.below(4 - depth.min(3)) {
        let (target, there, is_one) = chooser.of(links);
        *next += 1;
        let name = format!("e{next}");
        let spread = *is_one && chooser.once_in(3);
        let inner = if chooser.once_in(3) { "!inner" } else { "" };
        let lead = if spread { "...".to_owned() } else { format!("{name}:") };
        let _ = write!(text, ",{lead}{target}{inner}(");
        let child = select(chooser, *there, depth + 1, next, text);
        text.push(')');
        node.embeds.push((name, spread, child));
    }
    node
}

/// Mostly one that can be answered, sometimes one of operators and values as they come.
fn filter(chooser: &mut Chooser<'_>, table: &str, path: &str, joint: &str) -> String {
    if !chooser.once_in(6) {
        return sound_filter(chooser, table, joint);
    }
    let operator = *chooser.of(OPERATORS);
    let column = *chooser.of(columns(table, path));
    let column = if column == "meta" && chooser.once_in(2) { "meta->>k" } else { column };
    let mut value = (*chooser.of(VALUES)).to_owned();
    if operator.ends_with(['(', '{']) {
        value = format!("{value},{}{}", chooser.of(VALUES), if operator.ends_with('(') { ')' } else { '}' });
    }
    format!("{column}{joint}{operator}{value}")
}

fn sound_filter(chooser: &mut Chooser<'_>, table: &str, joint: &str) -> String {
    let base = 100 * (1 + chooser.below(2));
    let number = base + chooser.below(5);
    let text = if table == "notes" { "body" } else { "name" };
    let key = key(table)[0];
    match chooser.below(if table == "notes_tags" { 6 } else { 9 }) {
        0 => format!("{key}{joint}gt.{}", base + 1 - chooser.below(2) * base),
        1 => format!("{key}{joint}not.eq.{number}"),
        2 => format!("{key}{joint}in.({number},{},101,201)", number + 1),
        3 => format!("{key}{joint}not.is.null"),
        4 => format!("{key}{joint}lte(any).{{{number},{base}}}"),
        5 => format!("{key}{joint}gte.0"),
        6 => format!("{text}{joint}like.*{}*", chooser.below(4)),
        7 => format!("{text}{joint}ilike(any).{{N*,P*,T*}}"),
        _ => format!("{text}{joint}isdistinct.x"),
    }
}

/// Filters, trees, order and limits, for the root and for embeds.
fn parameters(chooser: &mut Chooser<'_>, at: usize, node: &Node, text: &mut String) {
    let (path, table, _) = RESOURCES[at];
    for _ in 0..chooser.below(3) {
        let _ = write!(text, "&{}", filter(chooser, table, path, "="));
    }
    if chooser.once_in(4) {
        let tree = ["and", "or", "not.and", "not.or"][chooser.below(4)];
        let items: Vec<String> = (0..=chooser.below(3)).map(|_| filter(chooser, table, path, ".")).collect();
        let _ = write!(text, "&{tree}=({})", items.join(","));
    }
    for (name, _, child) in node.embeds.iter().filter(|(_, spread, _)| !spread) {
        match chooser.below(7) {
            1 => drop(write!(text, "&{name}.{}", filter(chooser, child.table, "", "="))),
            2 => drop(write!(text, "&{name}.order={}.desc", child.columns[0].1)),
            3 => drop(write!(text, "&{name}.limit={}", chooser.below(3))),
            4 => drop(write!(text, "&{name}=not.is.null")),
            5 => drop(write!(text, "&{name}=is.null")),
            _ => {}
        }
    }
    if chooser.once_in(3) {
        let _ = write!(text, "&order={}.desc.nullslast", chooser.of(columns(table, path)));
    }
    if chooser.once_in(3) {
        let _ = write!(text, "&limit={}&offset={}", chooser.below(5), chooser.below(3));
    }
}

/// The request that `choices` stand for.
pub(crate) fn shaped(choices: &[u32]) -> Shaped {
    let mut chooser = Chooser(choices.iter());
    let at = chooser.below(RESOURCES.len());
    let (path, table, _) = RESOURCES[at];
    let is_call = path.starts_with("rpc/");
    let method =
        if is_call { "GET" } else { *chooser.of(&["GET", "GET", "GET", "GET", "PATCH", "DELETE", "POST"]) };
    let mut list = String::new();
    let (mut node, mut tail) = (None, String::new());
    if chooser.once_in(8) {
        let column = *chooser.of(columns(table, path));
        let _ = write!(list, "count(),{column}.max(),{column}");
    } else {
        let made = select(&mut chooser, at, 0, &mut 0, &mut list);
        parameters(&mut chooser, at, &made, &mut tail);
        node = Some(made);
    }
    let fewest = if is_call { "&fewest=0" } else { "" };
    let mut target = format!("/{path}?select={list}{fewest}{tail}");
    let mut headers = Vec::new();
    if method != "GET" {
        headers.push(("prefer", "return=representation"));
    }
    if chooser.once_in(3) {
        headers
            .push(("prefer", *chooser.of(&["count=exact", "count=planned", "resolution=merge-duplicates"])));
    }
    if chooser.once_in(6) {
        headers.push((
            "accept",
            *chooser.of(&["text/csv", "application/vnd.pgrst.plan+text; options=analyze|verbose"]),
        ));
        node = None;
    }
    if chooser.once_in(8) {
        let start = target.find('?').unwrap_or_default() + 1;
        let place = start + chooser.below(target.len() - start);
        let rubbish =
            *chooser.of(&["(", ")", ",", ".", "\"", "*", "!", "&", "=", "%F0", "->", "::text", "not."]);
        target.insert_str(place, rubbish);
        node = None;
    }
    let (body, changed): (&str, &[&str]) =
        if matches!(method, "PATCH" | "POST") { *chooser.of(BODIES) } else { ("", &[]) };
    // New rows are not known to the oracle.
    node = node.filter(|_| method != "POST");
    Shaped { method, target, headers, body, node, changed, table }
}
