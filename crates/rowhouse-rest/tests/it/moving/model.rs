//! What the moving schema is like at the moment, and the SQL that makes it so.

/// Numbers that follow from a seed.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// splitmix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() >> 1).unwrap() % bound
    }

    pub(crate) fn of<'t, T>(&mut self, things: &'t [T]) -> &'t T {
        &things[self.below(things.len())]
    }

    pub(crate) fn once_in(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }
}

/// Types that hold the same numbers and sort them differently.
pub(crate) const NUMBERS: [&str; 5] = ["integer", "bigint", "numeric", "double precision", "text"];
/// Types that hold the same words, the second enumerated type in the opposite order.
pub(crate) const TONES: [&str; 3] = ["text", "public.tone", "public.mood"];
pub(crate) const TABLES: [&str; 2] = ["items", "boxes"];

/// The schema as it is.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    /// Type of `size`, in both tables.
    pub(crate) size: &'static str,
    /// Type of `tone`.
    pub(crate) tone: &'static str,
    /// The words of both enumerated types.
    pub(crate) words: Vec<String>,
    pub(crate) size_default: usize,
    /// What the column of remarks is called.
    pub(crate) note: &'static str,
    /// A column that comes and goes.
    pub(crate) extra: Option<usize>,
    /// The table to which `parts.item_id` refers.
    pub(crate) parent: &'static str,
    /// Rows whose number can be divided by this are hidden by a further policy.
    pub(crate) hidden: Option<usize>,
    pub(crate) view: View,
    pub(crate) pick: Pick,
    /// Type of what the computed column gives, and what it adds.
    pub(crate) score: (&'static str, usize),
    /// What the represented domain is shown with.
    pub(crate) shade: usize,
    /// Names that are made only once.
    pub(crate) made: usize,
}

/// The view `shelf`.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub(crate) table: &'static str,
    pub(crate) has_tone: bool,
    pub(crate) least: usize,
}

/// The function `pick`.
#[derive(Debug, Clone)]
pub(crate) struct Pick {
    /// Type of its argument.
    pub(crate) argument: &'static str,
    pub(crate) operator: &'static str,
    pub(crate) language: &'static str,
}

impl Model {
    pub(crate) fn new() -> Self {
        Self {
            size: "integer",
            tone: "text",
            words: ["calm", "loud", "warm"].map(str::to_owned).to_vec(),
            size_default: 5,
            note: "note",
            extra: None,
            parent: "items",
            hidden: None,
            view: View { table: "items", has_tone: true, least: 3 },
            pick: Pick { argument: "integer", operator: ">=", language: "sql" },
            score: ("integer", 1),
            shade: 0,
            made: 0,
        }
    }

    /// Everything, from nothing.
    pub(crate) fn create(&self) -> String {
        let tables = TABLES.map(|table| {
            format!(
                "create table public.{table} (id int primary key, size integer default 5, tone text, note text default 'fresh', hue public.colour);
                 select tenancy.protect('public.{table}');"
            )
        });
        format!(
            "set role rowhouse_project;
             create type public.tone as enum ('calm', 'loud', 'warm');
             create type public.mood as enum ('warm', 'loud', 'calm');
             create domain public.colour as integer;
             {}
             {}
             create table public.parts (id int primary key, item_id int, label text);
             select tenancy.protect('public.parts');
             {}
             {}
             grant select, insert, update, delete on public.items, public.boxes, public.parts to authenticated;
             create function public.fill(tenant uuid) returns void language sql as $$
               insert into public.items (id, size, tone, note, hue, tenant_id)
                 select n * 10 + offs, (n * 7 + offs) % 23, (array['calm', 'loud', 'warm'])[1 + n % 3], 'item ' || n, n, tenant
                 from generate_series(1, 15) n, (select case when right(tenant::text, 1) = '1' then 1 else 2 end offs) o;
               insert into public.boxes (id, size, tone, note, hue, tenant_id)
                 select id, 100 - size, (array['warm', 'calm', 'loud'])[1 + id % 3], 'box ' || id, hue, tenant_id
                 from public.items where tenant_id = tenant;
               insert into public.parts (id, item_id, label, tenant_id)
                 select id * 10 + k, id, 'part ' || k, tenant_id from public.items, generate_series(1, 2) k where tenant_id = tenant;
             $$;
             revoke execute on function public.fill from public;
             reset role;
             create cast (public.colour as json) with function public.json(public.colour) as implicit;",
            self.shown(),
            tables.concat(),
            self.dependents(),
            self.reference(),
        )
    }

    /// How the domain is shown.
    pub(crate) fn shown(&self) -> String {
        format!(
            "create or replace function public.json(public.colour) returns json language sql immutable as
               $$ select to_json('{}-' || $1::text) $$;",
            self.shade
        )
    }

    pub(crate) fn reference(&self) -> String {
        format!(
            "alter table public.parts add constraint parts_item_fkey foreign key (item_id) references public.{};",
            self.parent
        )
    }

    /// View, function and computed column.
    pub(crate) fn dependents(&self) -> String {
        format!("{}{}{}", self.create_view(), self.create_pick(), self.create_score())
    }

    pub(crate) const DROP_DEPENDENTS: &str =
        "drop view public.shelf; drop function public.pick; drop function public.score;";

    pub(crate) fn create_view(&self) -> String {
        let View { table, has_tone, least } = &self.view;
        let tone = if *has_tone { ", tone" } else { "" };
        format!(
            "create or replace view public.shelf with (security_invoker = true) as
               select id, size{tone} from public.{table} where id >= {least};
             grant select, update, delete on public.shelf to authenticated;"
        )
    }

    pub(crate) fn create_pick(&self) -> String {
        let Pick { argument, operator, language } = &self.pick;
        let query = format!("select t.* from public.items t where t.id {operator} fewest::text::numeric");
        let body = match *language {
            "sql" => query,
            _ => format!("begin return query {query}; end"),
        };
        format!(
            "create or replace function public.pick(fewest {argument}) returns setof public.items language {language} stable
               as $$ {body} $$;"
        )
    }

    pub(crate) fn create_score(&self) -> String {
        let (kind, more) = self.score;
        format!(
            "create or replace function public.score(public.items) returns {kind} language sql stable
               as $$ select (($1.id % 11) + {more})::{kind} $$;"
        )
    }
}
