//! The table's place in a document.

use std::fs;
use std::path::Path;

use anyhow::Context;

const BEGIN: &str = "<!-- bench:begin -->\n";
const END: &str = "<!-- bench:end -->";

/// Replaces what stands between the markers of `path` with `table`.
pub(super) fn write_table(path: &Path, table: &str) -> anyhow::Result<()> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let text = with_table(&text, table)
        .with_context(|| format!("{} needs the lines {} and {END}", path.display(), BEGIN.trim_end()))?;
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn with_table(text: &str, table: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_old, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{table}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_markers_changes() {
        let text = "a\n<!-- bench:begin -->\nold\n<!-- bench:end -->\nz\n";
        let expected = "a\n<!-- bench:begin -->\nnew\n<!-- bench:end -->\nz\n";
        assert_eq!(with_table(text, "new\n").as_deref(), Some(expected));
        assert_eq!(with_table("no markers", "new\n"), None);
    }
}
