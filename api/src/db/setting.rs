//! Settings as the database keeps them: their spelling as text, which a check constraint guards.

use crate::domain::room::Setting;

/// The value that is spelled `text`.
pub(super) fn read<S: Setting>(text: &str) -> Result<S, sqlx::Error> {
    S::parse(text).ok_or_else(|| {
        let known = S::SPELLINGS.join(", ");
        sqlx::Error::Decode(format!("{text:?} is none of {known}").into())
    })
}
