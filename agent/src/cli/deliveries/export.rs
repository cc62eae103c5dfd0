//! The delivery log for other programs: JSON lines, or CSV (RFC 4180) that a spreadsheet shows and does not execute.

use clap::ValueEnum;
use serde_json::Value;

use super::super::print;
use super::super::view::{delivery_json, printable_bytes};
use crate::outbox::log::Delivery;

/// How an export is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Format {
    /// One JSON object a line.
    Jsonl,
    /// Comma-separated values with a header. A text that a spreadsheet could take for a formula gets an apostrophe.
    Csv,
}

/// The columns, named as the members of the JSON objects.
const COLUMNS: [&str; 14] = [
    "id",
    "kind",
    "event",
    "room",
    "state",
    "queued_at",
    "done_at",
    "due_at",
    "status",
    "took_ms",
    "attempts",
    "note",
    "file",
    "offset",
];

/// Writes deliveries to standard output.
pub(super) struct Writer {
    format: Format,
    bodies: bool,
}

impl Writer {
    /// Begins the export.
    pub(super) fn new(format: Format, bodies: bool) -> anyhow::Result<Self> {
        if format == Format::Csv {
            let body = bodies.then_some("body");
            print(&COLUMNS.into_iter().chain(body).collect::<Vec<_>>().join(","))?;
        }
        Ok(Self { format, bodies })
    }

    /// Writes one delivery.
    pub(super) fn write(&mut self, delivery: &Delivery) -> anyhow::Result<()> {
        let mut value = delivery_json(delivery);
        if self.bodies {
            value["body"] = String::from_utf8_lossy(&delivery.body).into();
        }
        match self.format {
            Format::Jsonl => print(&value.to_string()),
            Format::Csv => {
                let mut cells: Vec<String> = COLUMNS.iter().map(|column| cell(&value[*column])).collect();
                if self.bodies {
                    cells.push(cell(&printable_bytes(&delivery.body).into()));
                }
                print(&cells.join(","))
            }
        }
    }
}

/// A value as a cell.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => quoted(text),
        other => other.to_string(),
    }
}

/// A text as a cell that no spreadsheet takes for a formula, whoever wrote it: names come from clients.
fn quoted(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    let text = if formula { format!("'{text}") } else { text.to_owned() };
    if text.contains(['"', ',', '\n', '\r', '\'']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_cell_is_never_a_formula_and_never_two_cells() {
        for (value, expected) in [
            (json!(null), ""),
            (json!(-3), "-3"),
            (json!("plain text"), "plain text"),
            (json!("a,b"), "\"a,b\""),
            (json!("say \"hi\""), "\"say \"\"hi\"\"\""),
            (json!("two\nlines"), "\"two\nlines\""),
            (json!("=HYPERLINK(\"http://x\")"), "\"'=HYPERLINK(\"\"http://x\"\")\""),
            (json!("+1"), "\"'+1\""),
            (json!("-1"), "\"'-1\""),
            (json!("@SUM(A1)"), "\"'@SUM(A1)\""),
            (json!("\t=1"), "\"'\t=1\""),
        ] {
            assert_eq!(cell(&value), expected, "{value}");
        }
    }
}
