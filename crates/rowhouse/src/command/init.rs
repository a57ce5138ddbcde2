//! `init`: a project folder with the files that every project has.

use std::path::Path;

use serde_json::json;

use rowhouse_module::{CannotRun, CommandOutcome, shell_word};

const SETTINGS: &str = "# Every key is optional; docs/configuration.md lists them all.
# environment = \"production\"

[rest]
schemas = [\"public\"]
";
const SEED: &str = "-- Development data; loaded once, when `rowhouse up` creates the database.\n";
const IGNORE: &str = ".rowhouse/\n";

/// Creates missing files; refuses a folder that is a project already.
pub(super) fn run(folder: &Path) -> Result<CommandOutcome, CannotRun> {
    if folder.join("rowhouse.toml").exists() {
        return Err(CannotRun::because(format!(
            "{} is a project already; start it with: rowhouse up --dir {}",
            folder.display(),
            shell_word(folder)
        )));
    }
    let fail =
        |error: std::io::Error| CannotRun::because(format!("cannot write {}: {error}", folder.display()));
    std::fs::create_dir_all(folder.join("migrations")).map_err(fail)?;
    let mut created = vec!["migrations/"];
    for (name, text) in [("seed.sql", SEED), (".gitignore", IGNORE), ("rowhouse.toml", SETTINGS)] {
        if !folder.join(name).exists() {
            std::fs::write(folder.join(name), text).map_err(fail)?;
            created.push(name);
        }
    }
    let text = format!(
        "created {} in {}\nnext: rowhouse up --dir {}",
        created.join(", "),
        folder.display(),
        shell_word(folder)
    );
    Ok(CommandOutcome::yes(json!({ "dir": folder.display().to_string(), "created": created }), text))
}
