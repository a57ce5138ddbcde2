//! Pages of lists as GoTrue has them: `page` and `per_page` in the query, `X-Total-Count` and `Link` in the answer.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use url::form_urlencoded::Serializer;

use crate::refusal::Refusal;

const TOTAL: HeaderName = HeaderName::from_static("x-total-count");
/// Entries of a page unless the query says otherwise.
const PAGE_SIZE: u32 = 50;
/// Entries of a page at most.
const LARGEST_PAGE: u32 = 1000;

/// A page that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Paging {
    page: u32,
    per_page: u32,
}

impl Paging {
    /// The first page of fifty unless the query says otherwise.
    pub(super) fn read(page: Option<&str>, per_page: Option<&str>) -> Result<Self, Refusal> {
        let per_page = positive(per_page, PAGE_SIZE)?.min(LARGEST_PAGE);
        Ok(Self { page: positive(page, 1)?, per_page })
    }

    /// How many entries, after how many others.
    pub(super) fn limit_and_offset(self) -> (i64, i64) {
        (self.per_page.into(), i64::from(self.page - 1) * i64::from(self.per_page))
    }

    /// Sets the headers: the number of all entries, and links to pages of `path` with the parameters of the query.
    pub(super) fn describe(self, headers: &mut HeaderMap, path: &str, query: &[(&str, &str)], total: i64) {
        headers.insert(TOTAL, HeaderValue::from(total));
        if let Ok(links) = HeaderValue::from_str(&self.links(path, query, total)) {
            headers.insert(header::LINK, links);
        }
    }

    /// RFC 8288, as auth-js reads it: the next page if there is one, and the last.
    fn links(self, path: &str, query: &[(&str, &str)], total: i64) -> String {
        let last = u32::try_from(total).unwrap_or(u32::MAX).div_ceil(self.per_page).max(1);
        let link = |page: u32, name: &str| {
            let mut parameters = Serializer::new(String::new());
            parameters.append_pair("page", &page.to_string());
            parameters.append_pair("per_page", &self.per_page.to_string());
            parameters.extend_pairs(query.iter().filter(|(_, value)| !value.is_empty()));
            format!("<{path}?{}>; rel=\"{name}\"", parameters.finish())
        };
        let last_link = link(last, "last");
        if self.page < last { format!("{}, {last_link}", link(self.page + 1, "next")) } else { last_link }
    }
}

fn positive(text: Option<&str>, default: u32) -> Result<u32, Refusal> {
    match text {
        None | Some("") => Ok(default),
        Some(text) => {
            let number = text.parse().ok().filter(|number| *number > 0);
            number.ok_or_else(|| Refusal::validation(format!("Bad Pagination Parameters: {text:?}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paging(page: u32, per_page: u32) -> Paging {
        Paging { page, per_page }
    }

    #[test]
    fn links_name_the_next_and_the_last_page() {
        let first =
            r#"</admin/users?page=2&per_page=50>; rel="next", </admin/users?page=3&per_page=50>; rel="last""#;
        assert_eq!(paging(1, 50).links("/admin/users", &[], 101), first);
        let last = r#"</admin/users?page=3&per_page=50>; rel="last""#;
        assert_eq!(paging(3, 50).links("/admin/users", &[("filter", "")], 101), last);
        let none = r#"</admin/users?page=1&per_page=50>; rel="last""#;
        assert_eq!(paging(1, 50).links("/admin/users", &[], 0), none);
    }

    #[test]
    fn links_keep_what_was_looked_for() {
        let links = paging(1, 1).links("/admin/audit", &[("query", "author:a b>")], 1);
        assert_eq!(links, r#"</admin/audit?page=1&per_page=1&query=author%3Aa+b%3E>; rel="last""#);
    }

    #[test]
    fn pages_are_positive_numbers() {
        assert_eq!(Paging::read(None, Some("")).unwrap(), paging(1, 50));
        assert_eq!(Paging::read(Some("7"), Some("9999")).unwrap(), paging(7, 1000));
        for wrong in ["0", "-1", "x", "99999999999"] {
            assert!(Paging::read(Some(wrong), None).is_err(), "{wrong}");
            assert!(Paging::read(None, Some(wrong)).is_err(), "{wrong}");
        }
    }
}
