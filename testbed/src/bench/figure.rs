//! One measured figure and the aim that it is compared with.

use std::fmt::Write as _;

/// What a figure should be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Aim {
    AtLeast(f64),
    AtMost(f64),
}

/// A row of the table.
#[derive(Debug)]
pub(super) struct Figure {
    /// What was measured.
    pub(super) what: &'static str,
    /// The product's raw figures, with their spread.
    pub(super) product: String,
    /// The reference's raw figures; empty where the aim is absolute.
    pub(super) reference: String,
    /// The value that the aim speaks of.
    pub(super) value: f64,
    /// Its unit; empty for a ratio.
    pub(super) unit: &'static str,
    /// What it should be.
    pub(super) aim: Aim,
}

impl Figure {
    fn is_met(&self) -> bool {
        match self.aim {
            Aim::AtLeast(bound) => self.value >= bound,
            Aim::AtMost(bound) => self.value <= bound,
        }
    }
}

/// The figures as a Markdown table.
pub(super) fn table(figures: &[Figure]) -> String {
    let mut text = String::from(
        "| what | measured | reference in the same run | result | aim | met |\n|---|---|---|---|---|---|\n",
    );
    for figure in figures {
        let aim = match figure.aim {
            Aim::AtLeast(bound) => format!("≥ {}", with_unit(bound, figure.unit)),
            Aim::AtMost(bound) => format!("≤ {}", with_unit(bound, figure.unit)),
        };
        let result = with_unit(figure.value, figure.unit);
        let met = if figure.is_met() { "yes" } else { "**no**" };
        let Figure { what, product, reference, .. } = figure;
        writeln!(text, "| {what} | {product} | {reference} | {result} | {aim} | {met} |")
            .expect("a string takes every write");
    }
    text
}

fn with_unit(value: f64, unit: &str) -> String {
    let digits = if value >= 1_000.0 { 0 } else { 2 };
    format!("{value:.digits$} {unit}").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_whether_the_aim_is_met_at_the_bound_and_beyond_it() {
        let row = |value, unit, aim| {
            let figure =
                Figure { what: "w", product: "p".to_owned(), reference: String::new(), value, unit, aim };
            table(&[figure]).lines().last().unwrap_or_default().to_owned()
        };
        for (value, unit, aim, expected) in [
            (0.5, "", Aim::AtLeast(0.5), "| w | p |  | 0.50 | ≥ 0.50 | yes |"),
            (0.49, "", Aim::AtLeast(0.5), "| w | p |  | 0.49 | ≥ 0.50 | **no** |"),
            (12.0, "MiB", Aim::AtMost(12.0), "| w | p |  | 12.00 MiB | ≤ 12.00 MiB | yes |"),
            (
                61_234.5,
                "events/s",
                Aim::AtLeast(60_000.0),
                "| w | p |  | 61234 events/s | ≥ 60000 events/s | yes |",
            ),
        ] {
            assert_eq!(row(value, unit, aim), expected);
        }
    }
}
