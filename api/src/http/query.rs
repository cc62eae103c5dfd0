//! Numbers in query strings.

use std::ops::RangeInclusive;

use axum::extract::Query;
use http::Uri;
use serde_json::json;

use super::validation::Invalid;

/// The whole number that `parameter` holds, which must be within `range`; `default` when it is not there. Of several the last
/// counts.
pub fn number(
    uri: &Uri,
    parameter: &str,
    default: i64,
    range: RangeInclusive<i64>,
) -> Result<i64, Box<Invalid>> {
    let parameters = Query::<Vec<(String, String)>>::try_from_uri(uri).map(|query| query.0);
    let found = parameters.unwrap_or_default().into_iter().rfind(|(name, _)| name == parameter);
    let Some((_, text)) = found else { return Ok(default) };
    let invalid = |kind, msg: String, ctx| {
        let loc = vec![json!("query"), json!(parameter)];
        Box::new(Invalid { kind, loc, msg, input: json!(text), ctx })
    };
    let Ok(number) = text.trim().parse::<i64>() else {
        let msg = "Input should be a valid integer, unable to parse string as an integer";
        return Err(invalid("int_parsing", msg.to_owned(), None));
    };
    let (least, most) = (*range.start(), *range.end());
    if number < least {
        let msg = format!("Input should be greater than or equal to {least}");
        Err(invalid("greater_than_equal", msg, Some(json!({"ge": least}))))
    } else if number > most {
        let msg = format!("Input should be less than or equal to {most}");
        Err(invalid("less_than_equal", msg, Some(json!({"le": most}))))
    } else {
        Ok(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_checked_against_its_range() {
        for (query, expected) in [
            ("", Ok(50)),
            ("?other=x", Ok(50)),
            ("?size=100", Ok(100)),
            ("?size=1&size=2", Ok(2)),
            ("?size=%203", Ok(3)),
            ("?size=0", Err("greater_than_equal")),
            ("?size=101", Err("less_than_equal")),
            ("?size=ten", Err("int_parsing")),
            ("?size=", Err("int_parsing")),
            ("?size=99999999999999999999", Err("int_parsing")),
        ] {
            let uri = format!("/v1/rooms{query}").parse().unwrap();
            let found = number(&uri, "size", 50, 1..=100).map_err(|invalid| invalid.kind);
            assert_eq!(found, expected, "{query}");
        }
    }
}
