//! Consent before changes that others may rely on.

use std::io::{BufRead, IsTerminal, Write};

use rowhouse_module::CannotRun;

/// Returns if `--yes` was given or the user at the terminal agrees; else fails without any change.
pub(super) fn require(yes: bool, what: &str) -> Result<(), CannotRun> {
    if yes || (std::io::stdin().is_terminal() && std::io::stderr().is_terminal() && agrees(what)?) {
        return Ok(());
    }
    Err(CannotRun(vec![what.to_owned(), "nothing was changed; run it again with --yes to agree".to_owned()]))
}

fn agrees(what: &str) -> Result<bool, CannotRun> {
    let mut terminal = std::io::stderr();
    write!(terminal, "rowhouse: {what}\nContinue? [y/N] ")?;
    terminal.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
