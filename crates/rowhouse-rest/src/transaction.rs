//! Settings of a request's transaction: those of the project, then of the role, then of the function.

use rowhouse_db::flight::Isolation;

use crate::settings::RestSettings;

/// The isolation setting; unlike the others it cannot be set after a query has run.
const ISOLATION: &str = "default_transaction_isolation";

/// Settings in the order in which they are set: of the same name the last one wins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TransactionSettings<'s> {
    project: &'s RestSettings,
    role: &'s [(String, String)],
    function: &'s [(String, String)],
}

impl<'s> TransactionSettings<'s> {
    pub(crate) fn new(
        project: &'s RestSettings,
        role: &'s [(String, String)],
        function: &'s [(String, String)],
    ) -> Self {
        Self { project, role, function }
    }

    /// Everything but the isolation.
    pub(crate) fn settings(self) -> impl Iterator<Item = (&'s str, &'s str)> {
        let own = self.project.app_settings.iter().map(|(name, value)| (name, value.expose()));
        let others = self.role.iter().map(pair).chain(self.hoisted());
        own.chain(others.filter(|(name, _)| *name != ISOLATION))
    }

    /// The function's own if it is hoisted, else the role's.
    pub(crate) fn isolation(self) -> Option<Isolation> {
        let named = |(name, value)| (name == ISOLATION).then(|| Isolation::parse(value)).flatten();
        self.hoisted().find_map(named).or_else(|| self.role.iter().map(pair).find_map(named))
    }

    /// The function's own timeout, if it is hoisted.
    pub(crate) fn function_timeout(self) -> Option<&'s str> {
        self.hoisted().find_map(|(name, value)| (name == "statement_timeout").then_some(value))
    }

    /// The function's settings that are hoisted to the transaction (`rest.hoisted_tx_settings`).
    fn hoisted(self) -> impl Iterator<Item = (&'s str, &'s str)> {
        let wanted = &self.project.hoisted_tx_settings;
        self.function.iter().map(pair).filter(move |(name, _)| wanted.iter().any(|wanted| wanted == name))
    }
}

fn pair((name, value): &(String, String)) -> (&str, &str) {
    (name, value)
}

#[cfg(test)]
mod tests;
