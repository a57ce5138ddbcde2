//! The set of keys that all rows must share.
//!
//! Rows usually repeat their keys in the same order, so a row's keys are compared with the first row's in order, and
//! looked up as a set only from the first difference on.

use super::Fault;

/// Keys of the first row, and the progress of the current one.
#[derive(Debug, Default)]
pub(super) struct KeySet<'a> {
    rows: usize,
    /// Keys of the first row as written, quotes included.
    written: Vec<&'a [u8]>,
    /// The same unescaped, sorted, each once.
    names: Vec<String>,
    /// Keys of the current row that matched `written` in order.
    matched: usize,
    /// Which `names` the current row has, once its order differs.
    seen: Option<Vec<bool>>,
    strange: bool,
}

impl<'a> KeySet<'a> {
    pub(super) fn begin(&mut self) {
        self.rows += 1;
        self.matched = 0;
        self.seen = None;
        self.strange = false;
    }

    pub(super) fn key(&mut self, written: &'a [u8]) -> Result<(), Fault> {
        if self.rows == 1 {
            self.written.push(written);
            return Ok(());
        }
        if self.seen.is_none() && self.written.get(self.matched) == Some(&written) {
            self.matched += 1;
            return Ok(());
        }
        self.diverge()?;
        self.mark(written)
    }

    /// Ends a row; true when it has exactly the keys of the first.
    pub(super) fn end(&mut self) -> Result<bool, Fault> {
        if self.rows == 1 {
            self.names = self.written.iter().map(|written| unescape(written)).collect::<Result<_, _>>()?;
            self.names.sort_unstable();
            self.names.dedup();
            return Ok(true);
        }
        if self.seen.is_none() && self.matched == self.written.len() {
            return Ok(true);
        }
        self.diverge()?;
        Ok(!self.strange && self.seen.as_ref().is_some_and(|seen| seen.iter().all(|seen| *seen)))
    }

    pub(super) fn into_names(self) -> Vec<String> {
        self.names
    }

    fn diverge(&mut self) -> Result<(), Fault> {
        if self.seen.is_some() {
            return Ok(());
        }
        self.seen = Some(vec![false; self.names.len()]);
        for at in 0..self.matched {
            self.mark(self.written[at])?;
        }
        Ok(())
    }

    fn mark(&mut self, written: &[u8]) -> Result<(), Fault> {
        let name = unescape(written)?;
        match (self.names.binary_search(&name), &mut self.seen) {
            (Ok(at), Some(seen)) => seen[at] = true,
            _ => self.strange = true,
        }
        Ok(())
    }
}

fn unescape(written: &[u8]) -> Result<String, Fault> {
    if memchr::memchr(b'\\', written).is_some() {
        return serde_json::from_slice(written).map_err(|_| Fault::Invalid);
    }
    let inside = written.get(1..written.len().saturating_sub(1)).unwrap_or_default();
    std::str::from_utf8(inside).map(str::to_owned).map_err(|_| Fault::Invalid)
}
