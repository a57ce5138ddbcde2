//! Our own rules. Each has a folder in `rules/` with its page, a file that it refuses, what it says of that file, and one
//! that it lets pass. Leaves the rules of squawk to `library`.

mod column;
mod isolation;
mod lock;
mod object;
mod role;
mod row;
mod runner;

use crate::file::File;
use crate::finding::Severity;
use crate::known::Known;

/// A file, and what it is judged against.
pub(crate) struct Scene<'a> {
    pub(crate) file: &'a File,
    pub(crate) known: &'a Known,
    pub(crate) exposed: &'a [String],
}

impl Scene<'_> {
    /// Whether the statement makes a table, or concerns only what was made before it in the same file or run.
    pub(crate) fn touches_only_new(&self, at: usize) -> bool {
        let statement = &self.file.statements[at];
        let before = self.file.made_before(at);
        let targets = statement.targets();
        let is_new = |name: &crate::name::Name| before.contains(name) || self.known.made.contains(name);
        statement.made_table().is_some() || (!targets.is_empty() && targets.iter().all(is_new))
    }

    /// Statements that concern what is in use, with their number.
    pub(crate) fn statements_on_existing(
        &self,
    ) -> impl Iterator<Item = (usize, &crate::statement::Statement)> {
        self.file.statements.iter().enumerate().filter(|(at, _)| !self.touches_only_new(*at))
    }
}

/// Where a rule is broken, and how.
pub(crate) struct Hit {
    pub(crate) at: usize,
    pub(crate) message: String,
}

impl Hit {
    pub(crate) fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into() }
    }
}

/// A rule of our own.
pub struct Rule {
    /// Its name, as a waiver writes it.
    pub id: &'static str,
    /// How bad a finding is.
    pub severity: Severity,
    /// Whether it is a warning only in a migration of phase contract, as what breaks the release that runs.
    pub is_breaking: bool,
    /// What to write instead.
    pub remedy: &'static str,
    /// Why the rule is there, in Markdown.
    pub page: &'static str,
    /// A file that it refuses.
    pub bad: &'static str,
    /// The same, done well.
    pub good: &'static str,
    /// What is found in the refused file.
    pub expected: &'static str,
    pub(crate) check: fn(&Scene<'_>) -> Vec<Hit>,
}

macro_rules! rules {
    ($($id:literal $severity:ident $breaking:literal $check:path, $remedy:literal;)*) => {
        /// All of them, by topic.
        pub const RULES: &[Rule] = &[$(Rule {
            id: $id,
            severity: Severity::$severity,
            is_breaking: $breaking,
            remedy: $remedy,
            page: include_str!(concat!("../rules/", $id, "/README.md")),
            bad: include_str!(concat!("../rules/", $id, "/bad.sql")),
            good: include_str!(concat!("../rules/", $id, "/good.sql")),
            expected: include_str!(concat!("../rules/", $id, "/expected.txt")),
            check: $check,
        }),*];
    };
}

rules! {
    "table-without-isolation" Error false isolation::table_without_isolation,
        "Add `select tenancy.protect('TABLE')` for rows of tenants, `select tenancy.share('TABLE')` for rows that all share.";
    "isolation-removed" Error false isolation::isolation_removed,
        "Leave row-level security on and forced; what a job needs to see, a policy for its role allows.";
    "policy-gap" Error false isolation::policy_gap,
        "Create the new policy first, or in the same transaction; or use alter policy.";
    "grant-widened" Error false isolation::grant_widened,
        "Grant to authenticated, and let policies decide which rows; what everybody may read, grant to anon with a waiver.";
    "definer-search-path" Error false isolation::definer_search_path,
        "Add `set search_path = ''` to the function and write every name with its schema.";
    "unknown-directive" Error false runner::unknown_directive,
        "Write `-- rowhouse: NAME VALUE` in the file's first lines, which are comments without an empty line between; a waiver stands directly above its statement.";
    "role-changed" Error false role::role_changed,
        "Leave it out: the file runs as rowhouse_project. What needs another role, an operator does beside the migrations.";
    "backfill-with-ddl" Error false row::backfill_with_ddl,
        "Put the change of rows into a migration of its own, behind this one.";
    "needs-no-transaction" Error false lock::needs_no_transaction,
        "Let the file begin with `-- rowhouse: no-transaction`, with this statement alone in it.";
    "lock-held" Error false lock::lock_held,
        "Put the long statement into a migration of its own; what locks a table commits at once.";
    "table-locked" Error false lock::table_locked,
        "Leave it out: each statement takes the lock that it needs, as late as possible.";
    "table-rewritten" Error false lock::table_rewritten,
        "Leave it to autovacuum, or rewrite the table with an extension that holds no lock (pg_repack).";
    "exclusion-constraint" Error false lock::exclusion_constraint,
        "Make the constraint together with the table, or do it in a maintenance window with a waiver.";
    "stored-generated-column" Error false lock::stored_generated_column,
        "Add a plain column, fill it in batches, and keep it by a trigger; or compute it in a view.";
    "trigger-on-existing-table" Warning false lock::trigger_on_existing_table,
        "Run it while few write, and measure what the trigger adds to each row.";
    "foreign-key-without-index" Warning false lock::foreign_key_without_index,
        "Create an index that begins with the columns of the foreign key.";
    "json-column" Warning false column::json_column,
        "Write jsonb.";
    "column-still-referenced" Error false column::column_still_referenced,
        "Change what reads the column first, in a migration before this one.";
    "enum-value-added" Warning false object::enum_value_added,
        "Use the value in a later migration only; where values change often, a table with a foreign key serves better.";
    "enum-value-renamed" Error true object::enum_value_renamed,
        "Add the new value, move rows and programs over, and leave the old one.";
    "schema-renamed" Error true object::schema_renamed,
        "Make the new schema beside the old one, with views for the programs that still use it.";
    "publication-changed" Warning false object::publication_changed,
        "Name the tables and columns that are published, and tell those who read the stream.";
}
