//! Verification: every link held against its entry and the link before, and every entry looked for in the chains. Leaves
//! what is told about it to `finding`.

use rowhouse_db::DbError;
use rowhouse_kernel::OrganizationId;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use crate::expectation::Expectation;
use crate::finding::{Finding, MOST_FINDINGS, Problem, Report};
use crate::link::Link;

/// Links that one statement checks.
const PAGE: i64 = 20_000;
/// Entries that one statement finds: more than are told, so that it shows that there are more.
const MOST_ENTRIES: i64 = MOST_FINDINGS as i64 + 1;

/// A verification under way. All of it sees one snapshot, so that what is sealed or pruned meanwhile does no harm.
#[derive(Debug)]
pub struct Verification<'c> {
    client: &'c Client,
    only: Option<OrganizationId>,
    report: Report,
}

impl<'c> Verification<'c> {
    /// Begins a transaction on a connection that nobody else uses. `only` is one chain.
    ///
    /// # Errors
    /// The database's.
    pub async fn begin(client: &'c Client, only: Option<OrganizationId>) -> Result<Self, DbError> {
        client.batch_execute("begin isolation level repeatable read read only").await?;
        Ok(Self { client, only, report: Report::default() })
    }

    /// Checks all links. `progress` hears the number of those that are done.
    ///
    /// # Errors
    /// The database's.
    pub async fn check_links(&mut self, mut progress: impl FnMut(i64)) -> Result<(), DbError> {
        let mut at =
            Place { chain: self.only.map_or(Uuid::nil(), |only| only.0), sequence: i64::MIN, hash: None };
        loop {
            let rows = self.walk(&at).await?;
            for row in &rows {
                self.add_link(row)?;
            }
            let Some(last) = rows.last() else { return Ok(()) };
            self.report.chains += last.try_get::<_, i64>("chains")?;
            self.report.links += last.try_get::<_, i64>("links")?;
            progress(self.report.links);
            at = Place {
                chain: last.try_get("organization_id")?,
                sequence: last.try_get("sequence")?,
                hash: Some(last.try_get("hash")?),
            };
        }
    }

    async fn walk(&self, after: &Place) -> Result<Vec<Row>, DbError> {
        let only = self.only.map(|only| only.0);
        let parameters: [(&(dyn ToSql + Sync), Type); 5] = [
            (&after.chain, Type::UUID),
            (&after.sequence, Type::INT8),
            (&after.hash, Type::BYTEA),
            (&PAGE, Type::INT8),
            (&only, Type::UUID),
        ];
        Ok(self.client.query_typed(include_str!("../sql/walk.sql"), &parameters).await?)
    }

    fn add_link(&mut self, row: &Row) -> Result<(), DbError> {
        let Some(problem) = row.try_get::<_, Option<String>>("problem")? else { return Ok(()) };
        let (sequence, before): (i64, i64) = (row.try_get("sequence")?, row.try_get("before")?);
        let organization_id = Some(OrganizationId(row.try_get("organization_id")?));
        let entry_id = Some(row.try_get("entry_id")?);
        let at =
            |problem| Finding { problem, organization_id, sequence: Some(sequence), missing: None, entry_id };
        self.report.add(match problem.as_str() {
            "links_missing" => Finding {
                sequence: Some(before + 1),
                missing: Some(sequence - before - 1),
                entry_id: None,
                ..at(Problem::LinksMissing)
            },
            "entry_missing" => at(Problem::EntryMissing),
            _ => at(Problem::EntryChanged),
        });
        Ok(())
    }

    /// Looks for entries that are in no chain, and for those that wait to be sealed and are gone.
    ///
    /// # Errors
    /// The database's.
    pub async fn check_entries(&mut self) -> Result<(), DbError> {
        let only = self.only.map(|only| only.0);
        let unlinked = "select e.id, coalesce(e.organization_id, '00000000-0000-0000-0000-000000000000')
            from audit.entries e
            where ($1::uuid is null or coalesce(e.organization_id, '00000000-0000-0000-0000-000000000000') = $1)
              and not exists (select from audit.chain c where c.entry_id = e.id)
              and not exists (select from audit.unsealed u where u.entry_id = e.id)
            limit $2";
        let parameters: [(&(dyn ToSql + Sync), Type); 2] = [(&only, Type::UUID), (&MOST_ENTRIES, Type::INT8)];
        for row in self.client.query_typed(unlinked, &parameters).await? {
            let organization_id = Some(OrganizationId(row.try_get(1)?));
            self.add_entry(Problem::EntryNotLinked, row.try_get(0)?, organization_id);
        }
        self.check_unsealed().await
    }

    async fn check_unsealed(&mut self) -> Result<(), DbError> {
        let only = self.only.map(|only| only.0);
        let sql = "select count(*) from audit.unsealed u where $1::uuid is null or u.organization_id = $1";
        self.report.unsealed = self.client.query_typed_one(sql, &[(&only, Type::UUID)]).await?.try_get(0)?;
        let gone = "select u.entry_id, u.organization_id
            from audit.unsealed u left join audit.entries e on e.id = u.entry_id
            where e.id is null and ($1::uuid is null or u.organization_id = $1)
            order by u.number
            limit $2";
        let parameters: [(&(dyn ToSql + Sync), Type); 2] = [(&only, Type::UUID), (&MOST_ENTRIES, Type::INT8)];
        for row in self.client.query_typed(gone, &parameters).await? {
            let organization_id = Some(OrganizationId(row.try_get(1)?));
            self.add_entry(Problem::UnsealedEntryMissing, row.try_get(0)?, organization_id);
        }
        Ok(())
    }

    fn add_entry(&mut self, problem: Problem, entry: Uuid, organization_id: Option<OrganizationId>) {
        let (sequence, missing, entry_id) = (None, None, Some(entry));
        self.report.add(Finding { problem, organization_id, sequence, missing, entry_id });
    }

    /// Looks for a link that was noted down.
    ///
    /// # Errors
    /// The database's.
    pub async fn expect(&mut self, link: &Link) -> Result<(), DbError> {
        let problem = match Expectation::of(self.client, link).await? {
            Expectation::Met => return Ok(()),
            Expectation::HashDiffers => Problem::ExpectedHashDiffers,
            Expectation::Missing => Problem::ExpectedLinkMissing,
            Expectation::Pruned => Problem::ExpectedLinkPruned,
        };
        let (organization_id, sequence) = (Some(link.organization_id), Some(link.sequence));
        self.report.add(Finding { problem, organization_id, sequence, missing: None, entry_id: None });
        Ok(())
    }

    /// Ends the transaction.
    ///
    /// # Errors
    /// The database's.
    pub async fn end(self) -> Result<Report, DbError> {
        self.client.batch_execute("rollback").await?;
        Ok(self.report)
    }
}

/// Where a walk goes on.
struct Place {
    chain: Uuid,
    sequence: i64,
    hash: Option<Vec<u8>>,
}
