//! Date-times in answers: RFC 3339 in UTC, with microseconds unless there are none.

use serde::{Serialize, Serializer};
use time::{OffsetDateTime, UtcOffset};
use utoipa::openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, Type};
use utoipa::{PartialSchema, ToSchema};

/// A date-time in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateTime(pub OffsetDateTime);

impl std::fmt::Display for DateTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let utc = self.0.to_offset(UtcOffset::UTC);
        let (date, microsecond) = (utc.date(), utc.microsecond());
        write!(f, "{date}T{:02}:{:02}:{:02}", utc.hour(), utc.minute(), utc.second())?;
        if microsecond > 0 {
            write!(f, ".{microsecond:06}")?;
        }
        f.write_str("Z")
    }
}

impl PartialSchema for DateTime {
    fn schema() -> RefOr<Schema> {
        let format = SchemaFormat::KnownFormat(KnownFormat::DateTime);
        ObjectBuilder::new().schema_type(Type::String).format(Some(format)).into()
    }
}

impl ToSchema for DateTime {}

impl Serialize for DateTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn a_date_time_is_utc_and_has_its_microseconds() {
        for (time, expected) in [
            (datetime!(2026-03-01 10:00:00.123_456 UTC), "2026-03-01T10:00:00.123456Z"),
            (datetime!(2026-03-01 10:00:00.1 UTC), "2026-03-01T10:00:00.100000Z"),
            (datetime!(2026-03-01 10:00:00 UTC), "2026-03-01T10:00:00Z"),
            (datetime!(2026-03-01 01:00:00 +02:00), "2026-02-28T23:00:00Z"),
        ] {
            assert_eq!(DateTime(time).to_string(), expected);
        }
    }
}
