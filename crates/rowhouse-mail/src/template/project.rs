//! A project's files below `mail/`: which of them are templates and samples, and what is wrong with the others.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::letter::Letter;

/// Largest file.
const MOST_BYTES: u64 = 512 * 1024;
/// Most files of a project; each is parsed and rendered at every start.
const MOST_FILES: usize = 5000;
/// A template's name and its language's, in characters.
const LONGEST_NAME: usize = 63;
const LONGEST_LANGUAGE: usize = 12;

/// The contents of a folder.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// `<language>/<name>.<part>` or `layout.html`, with the text.
    pub(super) templates: Vec<(String, String)>,
    /// Sample data of a project's own templates, by name.
    pub(super) samples: BTreeMap<String, Map<String, Value>>,
    /// Each with its file.
    pub(super) mistakes: Vec<String>,
}

/// Reads a folder, which need not exist.
pub(super) fn read(folder: &Path) -> Found {
    let mut found = Found::default();
    if !folder.is_dir() {
        return found;
    }
    match list(folder) {
        Ok(paths) if paths.len() > MOST_FILES => {
            found.mistakes.push(format!("mail: more than {MOST_FILES} files"));
        }
        Ok(paths) => paths.iter().for_each(|path| found.add(folder, path)),
        Err(mistake) => found.mistakes.push(mistake),
    }
    found
}

/// Files in the folder and in the folders of languages, in order.
fn list(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let inside = |path: &Path| -> Result<Vec<PathBuf>, String> {
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        let entries = std::fs::read_dir(path).map_err(failed)?;
        let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>();
        let mut paths = paths.map_err(failed)?;
        paths.sort();
        Ok(paths)
    };
    let mut all = Vec::new();
    for path in inside(folder)? {
        if path.is_dir() { all.extend(inside(&path)?) } else { all.push(path) }
    }
    Ok(all)
}

/// Classifies a file by its path below the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileKind<'a> {
    Template,
    Sample(&'a str),
}

impl Found {
    fn add(&mut self, folder: &Path, path: &Path) {
        let name = path.strip_prefix(folder).unwrap_or(path).to_string_lossy().into_owned();
        let read = kind(&name).map_err(str::to_owned).and_then(|kind| Ok((kind, text(path)?)));
        match read {
            Ok((FileKind::Template, text)) => self.templates.push((name, text)),
            Ok((FileKind::Sample(template), text)) => match serde_json::from_str(&text) {
                Ok(Value::Object(sample)) => drop(self.samples.insert(template.to_owned(), sample)),
                Ok(_) => self.mistakes.push(format!("mail/{name}:1: expected a JSON object")),
                Err(error) => self.mistakes.push(format!("mail/{name}:{}: {error}", error.line())),
            },
            Err(mistake) => self.mistakes.push(format!("mail/{name}: {mistake}")),
        }
    }
}

fn text(path: &Path) -> Result<String, String> {
    let size = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > MOST_BYTES {
        return Err(format!("larger than {MOST_BYTES} bytes"));
    }
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}

fn kind(name: &str) -> Result<FileKind<'_>, &'static str> {
    const EXPECTED: &str = "no template's name; expected <language>/<name>.subject, .txt or .html, \
                            <name>.json with a sample, or layout.html";
    if name == "layout.html" {
        return Ok(FileKind::Template);
    }
    let Some((language, file)) = name.split_once('/') else {
        let template = name.strip_suffix(".json").filter(|template| is_name(template)).ok_or(EXPECTED)?;
        return if Letter::is_name(template) {
            Err("a letter of the program's, which has a sample of its own")
        } else {
            Ok(FileKind::Sample(template))
        };
    };
    let (stem, part) = file.split_once('.').ok_or(EXPECTED)?;
    let fits = is_language(language) && is_name(stem) && ["subject", "txt", "html"].contains(&part);
    if fits { Ok(FileKind::Template) } else { Err(EXPECTED) }
}

fn is_language(text: &str) -> bool {
    (2..=LONGEST_LANGUAGE).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn is_name(text: &str) -> bool {
    (1..=LONGEST_NAME).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
}
