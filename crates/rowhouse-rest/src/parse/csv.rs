//! A CSV body (RFC 4180): a line of names, then lines of values. An unquoted `NULL` is null.

/// The rows as a JSON array of objects of texts, and the names sorted.
pub(super) fn to_json(text: &str) -> Result<(Vec<u8>, Vec<String>), &'static str> {
    let mut lines = Lines { rest: text };
    let names: Vec<String> =
        lines.next().ok_or("not enough input")??.into_iter().map(|field| field.text).collect();
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
        !self.quoted && self.text == "NULL"
    }
}

/// Lines that are not empty.
struct Lines<'a> {
    rest: &'a str,
}

impl Iterator for Lines<'_> {
    type Item = Result<Vec<CsvField>, &'static str>;

    fn next(&mut self) -> Option<Self::Item> {
        self.rest = self.rest.trim_start_matches(['\r', '\n']);
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
                None => return Some(Ok(fields)),
            }
        }
    }
}

impl Lines<'_> {
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
