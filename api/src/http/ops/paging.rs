//! Pages of long lists: where one ends, and the address of the next.

use std::fmt::Write as _;

use axum::extract::Query;
use http::Uri;
use time::OffsetDateTime;

use crate::db::ops::Mark;

/// How many lines a page has.
pub(super) const LINES: usize = 50;

/// What the database is asked for: one line more tells whether there is another page.
pub(super) fn limit() -> i64 {
    i64::try_from(LINES).unwrap_or(i64::MAX).saturating_add(1)
}

/// Cuts the lines to a page. The last line of the page, when there is another one.
pub(super) fn cut<T>(lines: &mut Vec<T>) -> Option<&T> {
    let has_more = lines.len() > LINES;
    lines.truncate(LINES);
    lines.last().filter(|_| has_more)
}

/// The parameters of an address. Of several with the same name the last counts; empty ones count as absent.
#[derive(Debug)]
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    pub(super) fn of(uri: &Uri) -> Self {
        Self(Query::try_from_uri(uri).map(|query| query.0).unwrap_or_default())
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        let (_, text) = self.0.iter().rfind(|(known, _)| known == name)?;
        let text = text.trim();
        (!text.is_empty() && !text.contains('\0')).then(|| text.to_owned())
    }

    pub(super) fn number(&self, name: &str) -> Option<i64> {
        self.text(name)?.parse().ok()
    }

    /// Where the page before ended, as [`after`] wrote it.
    pub(super) fn mark(&self) -> Option<Mark> {
        let text = self.text("after")?;
        let (micros, id) = text.split_once('.')?;
        let at = OffsetDateTime::from_unix_timestamp_nanos(micros.parse::<i128>().ok()? * 1000).ok()?;
        Some(Mark { at, id: id.to_owned() })
    }
}

/// The mark of a line, for the address of the next page.
pub(super) fn after(at: OffsetDateTime, id: &str) -> String {
    format!("{}.{id}", at.unix_timestamp_nanos() / 1000)
}

/// An address of the same page with these parameters; those without a value are left out.
pub(super) fn address(page: &str, parameters: &[(&str, Option<&str>)]) -> String {
    let mut address = page.to_owned();
    for (name, value) in parameters {
        if let Some(value) = value {
            let separator = if address.contains('?') { '&' } else { '?' };
            let _ = write!(address, "{separator}{name}={}", escaped(value));
        }
    }
    address
}

/// Everything but letters, digits and `-._~` as `%XX`.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_mark_comes_back_as_it_was() {
        let mark = Mark { at: datetime!(2026-01-31 10:30:00.123456 UTC), id: "m.1&2".to_owned() };
        let address = address("meetings", &[("room", None), ("after", Some(&after(mark.at, &mark.id)))]);
        assert_eq!(address, "meetings?after=1769855400123456.m.1%262");
        let uri: Uri = format!("/ops/{address}").parse().unwrap();
        assert_eq!(Parameters::of(&uri).mark(), Some(mark));
    }

    #[test]
    fn what_was_typed_in_wrongly_counts_as_absent() {
        let of = |query: &str| Parameters::of(&format!("/ops/x?{query}").parse().unwrap());
        for query in
            ["", "after=", "after=x", "after=1", "after=x.y", "after=99999999999999999999999999999999.m"]
        {
            assert_eq!(of(query).mark(), None, "{query}");
        }
        assert_eq!(of("room=%20a%20").text("room").as_deref(), Some("a"));
        assert_eq!((of("room=%00").text("room"), of("before=x").number("before")), (None, None));
    }

    #[test]
    fn a_page_is_cut_where_there_is_more() {
        let mut some = vec![0; LINES];
        assert_eq!(cut(&mut some), None);
        let mut more: Vec<_> = (0..=LINES).collect();
        assert_eq!((cut(&mut more).copied(), more.len()), (Some(LINES - 1), LINES));
    }
}
