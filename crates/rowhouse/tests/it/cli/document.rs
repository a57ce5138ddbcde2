//! Commands named in the documentation exist.

use std::path::{Path, PathBuf};

use clap::Command;

/// Every command and group of commands, as typed.
pub(super) fn commands() -> Vec<String> {
    fn walk(command: &Command, before: &str, found: &mut Vec<String>) {
        for child in command.get_subcommands().filter(|child| child.get_name() != "help") {
            let path = format!("{before} {}", child.get_name()).trim().to_owned();
            found.push(path.clone());
            walk(child, &path, found);
        }
    }
    let mut found = Vec::new();
    walk(&rowhouse::cli::command(&rowhouse::modules::modules()), "", &mut found);
    found
}

fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let manual = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let manual = manual.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    ["README.md", "ARCHITECTURE.md"].map(|name| root.join(name)).into_iter().chain(manual).collect()
}

/// Code in a page: spans between backticks, and the lines of fenced blocks.
fn code(page: &str) -> Vec<String> {
    let (mut found, mut fenced) = (Vec::new(), false);
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if fenced {
            found.push(line.to_owned());
        } else {
            found.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    found
}

/// Command lines of ours in a piece of code: words from `rowhouse` to whatever ends a command.
fn command_lines(code: &str) -> Vec<Vec<String>> {
    let mut found: Vec<Vec<String>> = Vec::new();
    let mut inside = false;
    for word in code.split_whitespace() {
        if word == "rowhouse" {
            found.push(Vec::new());
            inside = true;
        } else if matches!(word, "&&" | "|" | ">" | "#" | ";") || word.starts_with('(') {
            inside = false;
        } else if let (true, Some(line)) = (inside, found.last_mut()) {
            line.push(word.trim_end_matches([',', '.', ';']).to_owned());
        }
    }
    found
}

/// Why a command line cannot be typed.
fn complaint(words: &[String]) -> Option<String> {
    let mut command = rowhouse::cli::command(&rowhouse::modules::modules());
    command.build();
    let mut words = words.iter().peekable();
    while command.has_subcommands() {
        let Some(word) = words.next_if(|word| !word.starts_with('-')) else { break };
        let Some(child) = command.find_subcommand(word) else { return Some(format!("no command {word}")) };
        command = child.clone();
    }
    if command.get_name() == "psql" {
        return None;
    }
    let unknown = |flag: &&String| {
        let name = flag.trim_start_matches('-').split('=').next().unwrap_or_default();
        flag.starts_with("--")
            && !matches!(name, "help" | "version")
            && !command.get_arguments().any(|argument| argument.get_long() == Some(name))
    };
    words.find(unknown).map(|flag| format!("no option {flag}"))
}

#[test]
fn every_command_named_in_the_documentation_exists() {
    let mut checked = 0;
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for line in code(&text).iter().flat_map(|code| command_lines(code)).filter(|line| !line.is_empty()) {
            assert_eq!(complaint(&line), None, "{}: rowhouse {}", page.display(), line.join(" "));
            checked += 1;
        }
    }
    assert!(checked > 20, "{checked} command lines found");
}

#[test]
fn unknown_command_is_detected() {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    assert!(
        complaint(&words("keys invent")).is_some()
            && complaint(&words("invent")).is_some()
            && complaint(&words("up --invent")).is_some()
    );
    assert!(complaint(&words("keys rotate --api")).is_none());
}
