//! Lists of breached passwords: a local file of SHA-1 digests, or a service with the range API of Have I Been Pwned
//! (k-anonymity: it is sent five of forty digits).

use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rowhouse_crypto::sha1_hex;

use crate::settings::AuthSettings;

/// Timeout of the service.
const LIMIT: Duration = Duration::from_secs(2);
/// Largest answer of the service; real ones have some 40 KB.
const LARGEST: usize = 1024 * 1024;
/// Digits that the service is sent.
const PREFIX: usize = 5;
/// Longest line of a file: digest, colon, count.
const LINE: u64 = 128;

/// Why nobody knows whether a password is in a list.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BreachError {
    #[error("auth.password_breached_file cannot be read")]
    File(#[from] io::Error),
    #[error("the service of auth.password_breached_url does not answer")]
    Service(#[from] reqwest::Error),
    #[error("the service of auth.password_breached_url answers with more than {LARGEST} bytes")]
    TooLong,
    #[error("the search ended early")]
    Task(#[from] tokio::task::JoinError),
}

/// The configured lists.
#[derive(Debug)]
pub(crate) struct BreachList {
    file: Option<PathBuf>,
    url: Option<String>,
    http: reqwest::Client,
}

impl BreachList {
    pub(crate) fn new(settings: &AuthSettings) -> Self {
        Self {
            file: settings.password_breached_file.as_ref().map(PathBuf::from),
            url: settings.password_breached_url.clone(),
            http: reqwest::Client::new(),
        }
    }

    /// Whether a list has the password.
    pub(crate) async fn has(&self, password: &str) -> Result<bool, BreachError> {
        let digest = sha1_hex(password.as_bytes());
        if let Some(file) = self.file.clone() {
            let wanted = digest.clone();
            if tokio::task::spawn_blocking(move || is_in_file(&file, &wanted)).await?? {
                return Ok(true);
            }
        }
        match &self.url {
            Some(url) => self.ask(url, &digest).await,
            None => Ok(false),
        }
    }

    async fn ask(&self, url: &str, digest: &str) -> Result<bool, BreachError> {
        let (prefix, suffix) = digest.split_at(PREFIX);
        let url = format!("{}/range/{prefix}", url.trim_end_matches('/'));
        let request = self.http.get(url).header("add-padding", "true").timeout(LIMIT);
        let mut response = request.send().await?.error_for_status()?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() > LARGEST {
                return Err(BreachError::TooLong);
            }
        }
        Ok(is_in_range(&String::from_utf8_lossy(&body), suffix))
    }
}

/// Lines `SUFFIX:COUNT`; entries with the count 0 are padding.
fn is_in_range(body: &str, suffix: &str) -> bool {
    body.lines()
        .filter_map(|line| line.trim().split_once(':'))
        .any(|(found, count)| found.eq_ignore_ascii_case(suffix) && count != "0")
}

/// Binary search for the line that begins with `wanted`.
fn is_in_file(path: &Path, wanted: &str) -> io::Result<bool> {
    let mut file = BufReader::new(File::open(path)?);
    let (mut low, mut high) = (0, file.get_ref().metadata()?.len());
    // The first line that is not below `wanted` starts in low..=high.
    while low < high {
        let middle = low + (high - low) / 2;
        match line_from(&mut file, middle)? {
            Some((line, end)) if line.as_str() < wanted => low = end,
            _ => high = middle,
        }
    }
    Ok(line_from(&mut file, low)?.is_some_and(|(line, _)| line == wanted))
}

/// The digest of the first line that starts at `offset` or later, in upper case, and where the line ends.
fn line_from(file: &mut BufReader<File>, offset: u64) -> io::Result<Option<(String, u64)>> {
    // From the byte before, so that a line which starts exactly at `offset` is not passed over.
    let mut at = offset.saturating_sub(1);
    file.seek(SeekFrom::Start(at))?;
    if offset > 0 {
        at += read_line(file)?.1;
    }
    let (line, length) = read_line(file)?;
    let digest = line.split(':').next().unwrap_or_default().trim().to_ascii_uppercase();
    Ok((length > 0).then(|| (digest, at + length)))
}

fn read_line(file: &mut BufReader<File>) -> io::Result<(String, u64)> {
    let mut line = Vec::new();
    let length = io::Read::take(&mut *file, LINE).read_until(b'\n', &mut line)?;
    Ok((String::from_utf8_lossy(&line).into_owned(), length as u64))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file(lines: &[String]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(lines.concat().as_bytes()).unwrap();
        file
    }

    #[test]
    fn every_line_of_a_file_is_found_and_no_other() {
        for end in [":12\n", "\n", ":3\r\n"] {
            let digests: Vec<String> = (0..300).map(|n| sha1_hex(format!("{n}").as_bytes())).collect();
            let mut sorted = digests.clone();
            sorted.sort();
            let list = file(&sorted.iter().map(|digest| format!("{digest}{end}")).collect::<Vec<_>>());
            assert!(digests.iter().all(|digest| is_in_file(list.path(), digest).unwrap()));
            assert!(
                !(300..400).any(|n| is_in_file(list.path(), &sha1_hex(format!("{n}").as_bytes())).unwrap())
            );
            for edge in ["0".repeat(40), "F".repeat(40)] {
                assert!(!is_in_file(list.path(), &edge).unwrap());
            }
        }
        assert!(!is_in_file(file(&[]).path(), &"0".repeat(40)).unwrap());
        assert!(is_in_file(Path::new("/does/not/exist"), "").is_err());
    }

    #[test]
    fn padding_of_a_range_does_not_count() {
        let body = "0018A45C4D1DEF81644B54AB7F969B88D65:1\r\n00D4F6E8FA6EECAD2A3AA415EEC418D38EC:0\r\n";
        assert!(is_in_range(body, "0018a45c4d1def81644b54ab7f969b88d65"));
        assert!(!is_in_range(body, "00D4F6E8FA6EECAD2A3AA415EEC418D38EC"));
    }
}
