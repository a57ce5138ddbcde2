//! A CSV body (RFC 4180): a line of names, then lines of values.
//!
//! What the data API writes as `text/csv` is read back unchanged: an empty field and an unquoted `NULL` are null, and
//! a quoted field is always a string, as with PostgreSQL's `copy`.

/// The byte order mark that some programs write (U+FEFF).
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The rows as a JSON array of objects of texts, and the names sorted.
pub(super) fn to_json(text: &str) -> Result<(Vec<u8>, Vec<String>), &'static str> {
    let mut lines = Lines { rest: text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text), skips_blank: true };
    let names: Vec<String> =
        lines.next().ok_or("not enough input")??.into_iter().map(|field| field.text).collect();
    lines.begin_rows(names.len());
    let mut json = b"[".to_vec();
    for line in lines {
        let line = line?;
        if line.len() != names.len() {
            return Err("All lines must have same number of fields");
        }
        if json.len() > 1 {
            json.push(b',');
        }
        object(&mut json, &names, &line);
    }
    json.push(b']');
    let mut keys = names;
    keys.sort_unstable();
    keys.dedup();
    Ok((json, keys))
}

fn object(json: &mut Vec<u8>, names: &[String], line: &[CsvField]) {
    let string = |text: &str| serde_json::Value::from(text).to_string();
    for (at, (name, field)) in names.iter().zip(line).enumerate() {
        json.push(if at == 0 { b'{' } else { b',' });
        json.extend_from_slice(string(name).as_bytes());
        json.push(b':');
        let value = if field.is_null() { "null".to_owned() } else { string(&field.text) };
        json.extend_from_slice(value.as_bytes());
    }
    json.push(b'}');
}

#[derive(Debug, Default)]
struct CsvField {
    text: String,
    quoted: bool,
}

impl CsvField {
    fn is_null(&self) -> bool {
        !self.quoted && (self.text.is_empty() || self.text == "NULL")
    }
}

/// An iterator over lines. Empty lines are skipped, except with a single column, where they are a null.
struct Lines<'a> {
    rest: &'a str,
    skips_blank: bool,
}

impl Iterator for Lines<'_> {
    type Item = Result<Vec<CsvField>, &'static str>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.skips_blank {
            self.rest = self.rest.trim_start_matches(['\r', '\n']);
        }
        if self.rest.is_empty() {
            return None;
        }
        let mut fields = Vec::new();
        loop {
            match self.field() {
                Ok(field) => fields.push(field),
                Err(error) => {
                    self.rest = "";
                    return Some(Err(error));
                }
            }
            match self.rest.strip_prefix(',') {
                Some(rest) => self.rest = rest,
                None => {
                    self.end_line();
                    return Some(Ok(fields));
                }
            }
        }
    }
}

impl Lines<'_> {
    /// Called after the header line, which has `count` fields.
    fn begin_rows(&mut self, count: usize) {
        self.skips_blank = count != 1;
    }

    fn end_line(&mut self) {
        let rest = self.rest;
        let rest = rest.strip_prefix("\r\n").or_else(|| rest.strip_prefix(['\r', '\n']));
        self.rest = rest.unwrap_or(self.rest);
    }

    fn field(&mut self) -> Result<CsvField, &'static str> {
        if let Some(rest) = self.rest.strip_prefix('"') {
            self.rest = rest;
            return self.quoted();
        }
        let end = self.rest.find([',', '\r', '\n']).unwrap_or(self.rest.len());
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        Ok(CsvField { text: text.to_owned(), quoted: false })
    }

    /// Two quotes are one; the closing one ends the field.
    fn quoted(&mut self) -> Result<CsvField, &'static str> {
        let mut field = CsvField { text: String::new(), quoted: true };
        loop {
            let (text, rest) = self.rest.split_once('"').ok_or("CSV: a quoted field does not end")?;
            field.text.push_str(text);
            let Some(again) = rest.strip_prefix('"') else {
                self.rest = rest;
                let ends = rest.is_empty() || rest.starts_with([',', '\r', '\n']);
                return if ends { Ok(field) } else { Err("CSV: text follows a quoted field") };
            };
            field.text.push('"');
            self.rest = again;
        }
    }
}

#[cfg(test)]
mod tests;
