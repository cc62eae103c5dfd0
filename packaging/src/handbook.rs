//! What `docs/operations.md` says, for the tests that hold it to its word.

/// The manual for operators.
pub const OPERATIONS: &str = include_str!("../../docs/operations.md");

/// The text below the heading `### title`, up to the next heading of that level or above; `None` where there is none.
pub fn section<'a>(text: &'a str, title: &str) -> Option<&'a str> {
    let heading = format!("### {title}\n");
    let start = text.find(&heading)? + heading.len();
    let rest = &text[start..];
    let end = ["\n## ", "\n### "].iter().filter_map(|next| rest.find(next)).min();
    Some(&rest[..end.unwrap_or(rest.len())])
}

/// The lines of the first block of shell commands in a section.
pub fn commands(section: &str) -> Vec<&str> {
    block(section, "sh").map(|block| block.lines().collect()).unwrap_or_default()
}

/// The first block in a section that is written in `language`.
pub fn block<'a>(section: &'a str, language: &str) -> Option<&'a str> {
    let fence = format!("```{language}\n");
    let start = section.find(&fence)? + fence.len();
    let length = section[start..].find("```")?;
    Some(&section[start..start + length])
}

/// The rows of the first table in a section, without its head, each as its cells.
pub fn rows(section: &str) -> Vec<Vec<&str>> {
    section
        .lines()
        .skip_while(|line| !line.starts_with("|---"))
        .skip(1)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect()
}

/// The words of a text that stand between back-ticks.
pub fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# All\n\n## Part\n\n### One\n\nDo `this`:\n\n```sh\na b\nc\n```\n\n```toml\nx = 1\n```\n\n### Two\n\n\
        | what | how |\n|---|---|\n| `p`, `q` | r |\n\nAfter.\n\n## Next part\n\n| no | no |\n";

    #[test]
    fn a_section_ends_where_the_next_one_begins() {
        assert!(section(TEXT, "One").is_some_and(|one| one.contains("x = 1") && !one.contains("what")));
        assert!(section(TEXT, "Two").is_some_and(|two| two.ends_with("After.\n")));
        assert_eq!(section(TEXT, "Three"), None);
    }

    #[test]
    fn commands_blocks_and_rows_are_read_as_they_stand() {
        let one = section(TEXT, "One").unwrap_or_default();
        assert_eq!(commands(one), ["a b", "c"]);
        assert_eq!(block(one, "toml"), Some("x = 1\n"));
        assert_eq!(block(one, "lua"), None);
        let two = section(TEXT, "Two").unwrap_or_default();
        assert_eq!(rows(two), [["`p`, `q`", "r"]]);
        assert_eq!(quoted(rows(two)[0][0]), ["p", "q"]);
        assert!(commands(two).is_empty() && rows(one).is_empty());
    }
}
