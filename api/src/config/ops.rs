//! What operators see: the page at `/ops`, and how long receipts are kept for it.

use std::time::Duration;

use super::reader::Reader;
use super::secret::Secret;

/// Whoever has the password reads who met whom, and sends webhooks again.
const LEAST_PASSWORD: usize = 16;

/// The operators' page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ops {
    /// What opens `/ops`: `OPS_PASSWORD`. Without it the page is off.
    pub password: Option<Secret>,
    /// How long receipts of deliveries are kept: `OPS_RECEIPTS_DAYS`.
    pub receipts_age: Duration,
    /// How many of them are kept: `OPS_RECEIPTS_MAX`.
    pub receipts_most: u32,
}

impl Ops {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let days = reader.within("OPS_RECEIPTS_DAYS", 14, 1..=365);
        let most = reader.within("OPS_RECEIPTS_MAX", 1_000_000, 1000..=100_000_000);
        Self {
            password: reader.secret("OPS_PASSWORD", LEAST_PASSWORD, "openssl rand -hex 16"),
            receipts_age: Duration::from_secs(days * 86_400),
            receipts_most: u32::try_from(most).unwrap_or(u32::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Severity, Surroundings};
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Ops, Vec<String>> {
        let variables =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let read_file = |_: &std::path::Path| Err(std::io::Error::from(std::io::ErrorKind::NotFound));
        let surroundings = Surroundings { read_file: &read_file, is_root: true };
        let errors = |findings: Vec<super::super::Finding>| {
            let errors = findings.into_iter().filter(|finding| finding.severity == Severity::Error);
            errors.map(|finding| finding.variable).collect()
        };
        Config::read(&variables, &surroundings).map(|(config, _)| config.ops).map_err(errors)
    }

    #[test]
    fn the_page_is_off_until_there_is_a_password_that_nobody_guesses() {
        assert_eq!(read(&[]).unwrap().password, None);
        for weak in
            ["0123456789abcde", "please-changeme-now", "your-secret-here-please", "aaaaaaaaaaaaaaaaaaaa"]
        {
            assert_eq!(read(&[("OPS_PASSWORD", weak)]).unwrap_err(), ["OPS_PASSWORD"], "{weak}");
        }
        let ops = read(&[("OPS_PASSWORD", "0123456789abcdef")]).unwrap();
        assert_eq!(ops.password, Some(Secret::new("0123456789abcdef")));
    }

    #[test]
    fn receipts_have_an_age_and_a_number_within_reason() {
        let ops = read(&[("OPS_RECEIPTS_DAYS", "2"), ("OPS_RECEIPTS_MAX", "5000")]).unwrap();
        assert_eq!((ops.receipts_age, ops.receipts_most), (Duration::from_hours(48), 5000));
        let errors = read(&[("OPS_RECEIPTS_DAYS", "0"), ("OPS_RECEIPTS_MAX", "10")]).unwrap_err();
        assert_eq!(errors, ["OPS_RECEIPTS_DAYS", "OPS_RECEIPTS_MAX"]);
    }
}
