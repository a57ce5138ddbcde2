//! What was found of a tenant, and what was done, as JSON and as a table.

use comfy_table::Table;
use comfy_table::presets::NOTHING;
use rowhouse_kernel::TenantId;
use rowhouse_module::counted;
use serde::Serialize;

use super::table::Group;

/// One table.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TableReport {
    pub(crate) table: String,
    pub(crate) group: Group,
    pub(crate) in_backup: u64,
    /// In the backup and not live.
    pub(crate) missing: u64,
    /// Live with other values.
    pub(crate) changed: u64,
    /// Live and not in the backup.
    pub(crate) only_live: u64,
    /// The same row is another tenant's now.
    pub(crate) moved: u64,
    #[serde(skip)]
    pub(crate) moved_example: Option<String>,
    pub(crate) inserted: u64,
    pub(crate) updated: u64,
    pub(crate) deleted: u64,
    /// Why it was not compared.
    pub(crate) skipped: Option<String>,
}

impl TableReport {
    pub(super) fn new(table: &str, group: Group) -> Self {
        Self {
            table: table.to_owned(),
            group,
            in_backup: 0,
            missing: 0,
            changed: 0,
            only_live: 0,
            moved: 0,
            moved_example: None,
            inserted: 0,
            updated: 0,
            deleted: 0,
            skipped: None,
        }
    }

    /// Rows that were written or removed.
    pub(crate) fn changes(&self) -> u64 {
        self.inserted + self.updated + self.deleted
    }
}

/// The whole.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Outcome {
    pub(crate) tenant: TenantId,
    pub(crate) backup: String,
    pub(crate) applied: bool,
    pub(crate) tables: Vec<TableReport>,
    /// What is against it; then nothing was changed.
    pub(crate) refusals: Vec<String>,
}

impl Outcome {
    /// For people: every table in which something differs.
    pub(crate) fn text(&self) -> String {
        let mut shown = Table::new();
        shown.load_style(NOTHING);
        shown.set_header(["table", "in backup", "missing", "changed", "only live", "moved"]);
        let differs = |one: &&TableReport| {
            one.missing + one.changed + one.only_live + one.moved > 0 || one.skipped.is_some()
        };
        for one in self.tables.iter().filter(differs) {
            let TableReport { table, in_backup, missing, changed, only_live, moved, .. } = one;
            match &one.skipped {
                Some(why) => shown.add_row([table.clone(), format!("not compared: {why}")]),
                None => shown.add_row(
                    [table.clone()]
                        .into_iter()
                        .chain([in_backup, missing, changed, only_live, moved].map(u64::to_string)),
                ),
            };
        }
        let table =
            if self.tables.iter().any(|one| differs(&one)) { format!("{shown}\n") } else { String::new() };
        let refusals: String = self.refusals.iter().map(|why| format!("refused: {why}\n")).collect();
        format!("{table}{refusals}{}", self.verdict())
    }

    fn verdict(&self) -> String {
        let sum = |field: fn(&TableReport) -> u64| self.tables.iter().map(field).sum::<u64>();
        let tenant = self.tenant;
        if !self.refusals.is_empty() {
            return format!("nothing was changed of tenant {tenant}");
        }
        if self.applied {
            let rows = counted(sum(TableReport::changes), "row", "rows");
            let (inserted, updated, deleted) = (sum(|t| t.inserted), sum(|t| t.updated), sum(|t| t.deleted));
            return format!(
                "tenant {tenant}: {rows} written: {inserted} inserted, {updated} given their former values, {deleted} removed"
            );
        }
        let lost = counted(sum(|one| one.missing), "row is", "rows are");
        let changed = counted(sum(|one| one.changed), "row has", "rows have");
        let newer = counted(sum(|one| one.only_live), "row was", "rows were");
        let hints = self.hints();
        format!(
            "tenant {tenant}: {lost} missing, {changed} changed, {newer} made since; nothing was changed{hints}"
        )
    }

    /// Which options would change something.
    fn hints(&self) -> String {
        let sum = |is_meant: fn(Group) -> bool, field: fn(&TableReport) -> u64| {
            self.tables.iter().filter(|one| is_meant(one.group)).map(field).sum::<u64>()
        };
        let hints = [
            (sum(|group| group == Group::Data, |one| one.missing), "To bring back what is missing", ""),
            (
                sum(|group| group == Group::Settings, |one| one.missing),
                "To bring back what was configured",
                " --overwrite",
            ),
            (sum(|group| group == Group::Members, |one| one.missing), "To bring back members", " --members"),
            (
                sum(|group| group != Group::Members, |one| one.changed),
                "To give what has changed its former values",
                " --overwrite",
            ),
            (
                sum(|group| group == Group::Data, |one| one.only_live),
                "To remove what was made since",
                " --delete-newer",
            ),
        ];
        let useful = hints.iter().filter(|(rows, ..)| *rows > 0);
        useful.map(|(_, what, option)| format!("\n{what}: add --apply --yes{option}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use rowhouse_kernel::TenantId;

    use super::{Group, Outcome, TableReport};

    fn compared(missing: u64, changed: u64, only_live: u64) -> String {
        let table = TableReport { missing, changed, only_live, ..TableReport::new("notes", Group::Data) };
        let (tenant, backup) = (TenantId(uuid::Uuid::nil()), String::new());
        Outcome { tenant, backup, applied: false, tables: vec![table], refusals: Vec::new() }.verdict()
    }

    #[test]
    fn verdict_names_the_options_that_would_change_something() {
        let same = compared(0, 0, 0);
        assert!(same.ends_with("; nothing was changed"), "{same}");
        let changed = compared(0, 1, 0);
        assert!(changed.contains("1 row has changed") && !changed.contains("missing: add"), "{changed}");
        assert!(changed.ends_with("former values: add --apply --yes --overwrite"), "{changed}");
        let all = compared(2, 1, 3);
        assert!(all.contains("missing: add --apply --yes\n") && all.contains(" --delete-newer"), "{all}");
    }
}
