//! Which series an expression asks for.

/// A metric with the labels that an expression narrows it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selector {
    /// The name of the series: for histograms with `_bucket`, `_sum` or `_count`.
    pub(crate) series: String,
    /// Names and values of labels, without what holds of the scraped address alone.
    pub(crate) labels: Vec<(String, String)>,
    /// As it stands in the expression.
    pub(crate) text: String,
}

impl Selector {
    /// The metric, which a histogram's series are parts of.
    pub(crate) fn metric(&self) -> &str {
        let part = ["_bucket", "_sum", "_count"].into_iter().find_map(|part| self.series.strip_suffix(part));
        part.unwrap_or(&self.series)
    }

    /// Whether Prometheus makes it itself.
    pub(crate) fn is_prometheus_own(&self) -> bool {
        self.series == "up" || self.series == "ALERTS"
    }
}

/// The selectors of an expression.
pub(crate) fn selectors(expression: &str) -> Vec<Selector> {
    let mut found = Vec::new();
    let mut rest = expression;
    while let Some(start) = rest.find(|it: char| it.is_ascii_alphabetic() || it == '"') {
        rest = &rest[start..];
        if let Some(quoted) = rest.strip_prefix('"') {
            rest = quoted.split_once('"').map_or("", |(_, rest)| rest);
            continue;
        }
        let end = rest.find(|it: char| !it.is_ascii_alphanumeric() && it != '_').unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        rest = after;
        if is_metric(word) {
            let braces = after.strip_prefix('{').and_then(|inside| inside.split_once('}'));
            let (labels, text) = braces.map_or((Vec::new(), word.to_owned()), |(inside, behind)| {
                rest = behind;
                (narrowed(inside), format!("{word}{{{inside}}}"))
            });
            found.push(Selector { series: word.to_owned(), labels, text });
        }
    }
    found
}

fn is_metric(word: &str) -> bool {
    word.starts_with("reflector_") || word.starts_with("process_") || word == "up" || word == "ALERTS"
}

/// `a="b", c=~"d|e"` as names and single values.
fn narrowed(inside: &str) -> Vec<(String, String)> {
    let mut labels = Vec::new();
    for condition in inside.split("\",") {
        let (name, value) = condition.split_once('"').unwrap_or((condition, ""));
        let name = name.trim().trim_end_matches(['=', '~', '!']);
        if !["job", "instance"].contains(&name) {
            let values = value.trim_end_matches('"').split('|');
            labels.extend(values.map(|value| (name.to_owned(), value.to_owned())));
        }
    }
    labels
}

#[test]
fn an_expression_names_its_series_and_their_labels() {
    let expression =
        r#"sum by (le) (rate(reflector_a_bucket{job="x", s=~"1|2"}[5m])) / process_b or vector(0)"#;
    let found = selectors(expression);
    let told: Vec<_> = found.iter().map(|it| (it.metric(), it.labels.clone())).collect();
    let label = |value: &str| ("s".to_owned(), value.to_owned());
    assert_eq!(told, [("reflector_a", vec![label("1"), label("2")]), ("process_b", vec![])]);
    assert_eq!(found[0].text, r#"reflector_a_bucket{job="x", s=~"1|2"}"#);
}

#[test]
fn what_stands_in_quotes_is_no_series() {
    assert_eq!(selectors(r#"label_replace(vector(1), "up", "up", "", "")"#), []);
}
