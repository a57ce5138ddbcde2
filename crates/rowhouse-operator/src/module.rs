//! The module of operators' tools.

use rowhouse_db::migrate::Statement;
use rowhouse_kernel::Operation;
use rowhouse_module::{Assembly, CannotRun, CommandGroup, Module, ModuleFuture};
use time::format_description::well_known::Rfc3339;

use crate::bootstrap;
use crate::command::{ADMIN, USERS};
use crate::route::{OperatorAdmin, routes};

/// User sync, the first operator, operators for an emergency.
#[derive(Debug, Clone, Copy)]
pub struct OperatorModule;

impl Module for OperatorModule {
    fn name(&self) -> &'static str {
        "operator"
    }

    fn migrations(&self) -> &'static [Statement] {
        crate::MIGRATIONS
    }

    fn commands(&self) -> Vec<CommandGroup> {
        vec![USERS, ADMIN]
    }

    fn start<'a>(&'a self, assembly: &'a mut Assembly) -> ModuleFuture<'a> {
        Box::pin(async move {
            if assembly.origin.settings.is_production() {
                require_closed(assembly).await?;
            }
            let control = assembly.origin.database.control.clone();
            assembly.admin("/bootstrap", routes, OperatorAdmin { control });
            Ok(())
        })
    }
}

/// Production does not start while somebody may still make themselves operator.
async fn require_closed(assembly: &Assembly) -> Result<(), CannotRun> {
    let origin = &assembly.origin;
    let operation = Operation::background("operators.find_bootstrap", &origin.clock);
    let Some(until) = bootstrap::open_until(&origin.database.control, &operation).await? else {
        return Ok(());
    };
    let until = until.format(&Rfc3339).unwrap_or_default();
    Err(CannotRun::because(format!(
        "a bootstrap is open until {until}: use its token, or take it back with `rowhouse admin bootstrap --close`"
    )))
}
