//! The rules of squawk: which are used, how bad each is, and why some are not used.

use squawk_linter::{Linter, Rule as Library, Violation};

use crate::finding::{Found, Severity};
use crate::rule::Scene;
use crate::statement::Statement;
use crate::word::has;
use rowhouse_db::migrate::Phase;

/// What is made of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// A lock or a rewrite: an error, except on what nobody uses yet.
    Locking,
    /// It breaks the release that runs: an error, and a warning in a migration of phase contract.
    Breaking,
    /// It cannot work, or loses data: an error everywhere.
    Wrong,
    /// There is something better.
    Better,
    /// Not used, and why.
    Off(&'static str),
}

/// A rule of the library.
#[derive(Debug, Clone)]
pub struct LibraryRule {
    /// Its name.
    pub id: String,
    /// What is made of it.
    pub used: Use,
}

/// Every rule that is known, in the order of its use.
#[must_use]
pub fn library_rules() -> Vec<LibraryRule> {
    USES.iter().map(|(rule, used)| LibraryRule { id: rule.to_string(), used: *used }).collect()
}

const ORDINARY: &str = "it would refuse what migrations are for";
const OWN: &str = "a rule of our own says more";

const USES: &[(Library, Use)] = &[
    (Library::RequireConcurrentIndexCreation, Use::Locking),
    (Library::RequireConcurrentIndexDeletion, Use::Locking),
    (Library::RequireConcurrentPartitionDetach, Use::Locking),
    (Library::RequireConcurrentReindex, Use::Locking),
    (Library::ConstraintMissingNotValid, Use::Locking),
    (Library::AddingForeignKeyConstraint, Use::Locking),
    (Library::AddingFieldWithDefault, Use::Locking),
    (Library::AddingNotNullableField, Use::Locking),
    (Library::AddingRequiredField, Use::Locking),
    (Library::AddingSerialPrimaryKeyField, Use::Locking),
    (Library::ChangingColumnType, Use::Locking),
    (Library::DisallowedUniqueConstraint, Use::Locking),
    (Library::BanAlterDomainWithAddConstraint, Use::Locking),
    (Library::BanDropColumn, Use::Breaking),
    (Library::BanDropTable, Use::Breaking),
    (Library::BanDropSchema, Use::Breaking),
    (Library::BanDropType, Use::Breaking),
    (Library::BanDropView, Use::Breaking),
    (Library::BanSetSchema, Use::Breaking),
    (Library::RenamingColumn, Use::Breaking),
    (Library::RenamingTable, Use::Breaking),
    (Library::RenamingObject, Use::Breaking),
    (Library::BanDropDatabase, Use::Wrong),
    (Library::BanTruncateCascade, Use::Wrong),
    (Library::BanUncommittedTransaction, Use::Wrong),
    (Library::TransactionNesting, Use::Wrong),
    (Library::BanDuplicateColumnAssignments, Use::Wrong),
    (Library::IdentifierTooLong, Use::Wrong),
    (Library::BanAlterGeneratedExpression, Use::Better),
    (Library::BanAlterIdentity, Use::Better),
    (Library::BanCharField, Use::Better),
    (Library::BanCreateDomainWithConstraint, Use::Better),
    (Library::BanDisableTrigger, Use::Better),
    (Library::BanDropConstraint, Use::Better),
    (Library::BanDropDefault, Use::Better),
    (Library::BanDropDomain, Use::Better),
    (Library::BanDropExtension, Use::Better),
    (Library::BanDropFunction, Use::Better),
    (Library::BanDropGeneratedExpression, Use::Better),
    (Library::BanDropNotNull, Use::Better),
    (Library::BanDropSequence, Use::Better),
    (Library::PreferBigintOverInt, Use::Better),
    (Library::PreferBigintOverSmallint, Use::Better),
    (Library::PreferIdentity, Use::Better),
    (Library::PreferRobustStmts, Use::Better),
    (Library::PreferTextField, Use::Better),
    (Library::PreferTimestampTz, Use::Better),
    (Library::RequireEnumValueOrdering, Use::Better),
    (
        Library::RequireTimeoutSettings,
        Use::Off("the runner sets lock_timeout for each statement, and tries the file again"),
    ),
    (Library::RequireLockTimeout, Use::Off("the runner sets it")),
    (
        Library::RequireStatementTimeout,
        Use::Off("a statement that builds an index may take hours; locks are what has a limit"),
    ),
    (Library::RequireTableSchema, Use::Off("the runner resets the search path for each file")),
    (Library::UnusedIgnore, Use::Off("waivers have a form of their own, with a reason")),
    (Library::PreferRepack, Use::Off("a rule of our own covers every version: table-rewritten")),
    (Library::BanConcurrentIndexCreationInTransaction, Use::Off(OWN)),
    (Library::BanDropPolicy, Use::Off(OWN)),
    (Library::BanReplicaIdentity, Use::Off(OWN)),
    (Library::BanAlterRowLevelSecurity, Use::Off(OWN)),
    (Library::BanDropTrigger, Use::Off(ORDINARY)),
    (Library::BanDropIndex, Use::Off(ORDINARY)),
    (Library::BanSetDefault, Use::Off(ORDINARY)),
    (Library::BanRevoke, Use::Off(ORDINARY)),
    (Library::BanReplaceViewFunction, Use::Off(ORDINARY)),
    (Library::BanAlterPolicyCondition, Use::Off(ORDINARY)),
    (Library::BanAlterPolicyRoles, Use::Off(ORDINARY)),
    (Library::BanCreatePolicy, Use::Off(ORDINARY)),
    (Library::BanAlterFunctionOptions, Use::Off(ORDINARY)),
    (Library::BanAlterViewOptions, Use::Off(ORDINARY)),
    (Library::BanAlterRoleOptions, Use::Off(ORDINARY)),
    (Library::BanAlterDatabaseOptions, Use::Off(ORDINARY)),
    (Library::BanNewWriteRestriction, Use::Off(ORDINARY)),
    (Library::BanAddEnumValue, Use::Off(OWN)),
    (Library::BanAddCompositeAttribute, Use::Off(ORDINARY)),
    (Library::BanAddColumn, Use::Off(ORDINARY)),
    (Library::BanDetachInheritance, Use::Off(ORDINARY)),
    (Library::BanAlterSequenceValues, Use::Off(ORDINARY)),
    (Library::BanAlterSystemOptions, Use::Off("the role that migrations run as may not")),
    (Library::BanAlterExtension, Use::Off(ORDINARY)),
];

/// What the library finds, and what its parser cannot read.
pub(crate) fn findings(scene: &Scene<'_>) -> Vec<Found> {
    let file = scene.file;
    let used = USES.iter().filter(|(_, used)| !matches!(used, Use::Off(_))).map(|(rule, _)| *rule);
    let mut linter = Linter::from(used);
    linter.settings.assume_in_transaction = file.is_transactional;
    let violations = linter.lint(&file.parse, &file.sql);
    let found = violations.into_iter().filter_map(|violation| judge(scene, violation));
    found.chain(unreadable(scene)).collect()
}

fn judge(scene: &Scene<'_>, violation: Violation) -> Option<Found> {
    let (_, used) = USES.iter().find(|(rule, _)| *rule == violation.code)?;
    let at = usize::from(violation.text_range.start());
    let statement = scene.file.statement_at(at);
    let is_new = statement.is_some_and(|statement| scene.touches_only_new(statement));
    let is_contract = scene.file.phase == Some(Phase::Contract);
    let severity = match used {
        Use::Locking | Use::Breaking if is_new => return None,
        Use::Breaking if is_contract => Severity::Warning,
        Use::Locking | Use::Breaking | Use::Wrong => Severity::Error,
        Use::Better => Severity::Warning,
        Use::Off(_) => return None,
    };
    if statement.is_some_and(|at| is_ours(violation.code, &scene.file.statements[at])) {
        return None;
    }
    Some(Found {
        rule: violation.code.to_string(),
        severity,
        at,
        message: violation.message,
        remedy: violation.help.unwrap_or_else(|| remedy(*used).to_owned()),
    })
}

/// Whether a rule of our own reports the same.
fn is_ours(rule: Library, statement: &Statement) -> bool {
    let words = &statement.words;
    match rule {
        Library::AddingFieldWithDefault | Library::BanAlterGeneratedExpression => {
            has(words, &["generated", "always", "as", "("])
        }
        Library::BanDisableTrigger => has(words, &["row", "level", "security"]),
        Library::ConstraintMissingNotValid => has(words, &["exclude"]),
        Library::RenamingObject => statement.begins(&["alter", "schema"]) || has(words, &["rename", "value"]),
        _ => false,
    }
}

const fn remedy(used: Use) -> &'static str {
    match used {
        Use::Locking => {
            "Split it, so that the long part runs without the lock; or waive it with the reason why the table is small."
        }
        Use::Breaking => "Do it in a migration of phase contract, a release after nothing uses it any more.",
        Use::Wrong | Use::Better | Use::Off(_) => "Write it another way, or waive it with a reason.",
    }
}

/// What cannot be read is not judged, and says so.
fn unreadable(scene: &Scene<'_>) -> Vec<Found> {
    let errors = scene.file.parse.errors();
    let first = errors.first().map(|error| Found {
        rule: "syntax".to_owned(),
        severity: Severity::Error,
        at: usize::from(error.range().start()),
        message: format!("This cannot be read, and is not judged: {}", error.message()),
        remedy: "Correct it; if PostgreSQL takes it as it is, waive it with the reason why it is safe."
            .to_owned(),
    });
    first.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_that_the_library_uses_by_itself_has_a_decision_here() {
        let missing: Vec<String> = Linter::with_default_rules()
            .rules
            .iter()
            .filter(|rule| USES.iter().all(|(known, _)| known != *rule))
            .map(ToString::to_string)
            .collect();
        assert_eq!(missing, Vec::<String>::new());
    }
}
