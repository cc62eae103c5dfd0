//! How errors are written: each layer once, from the outermost to the cause.

use std::error::Error;
use std::fmt;

/// Displays an error with all its sources, separated by colons.
///
/// Some libraries say one thing in two layers (`disk is full` caused by `Error code 13: disk is full`); the second time
/// is left out.
pub struct Chain<'a>(pub &'a dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.0.to_string();
        f.write_str(&said)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            let layer = error.to_string();
            if !repeats(&said, &layer) && !repeats(&layer, &said) {
                write!(f, ": {layer}")?;
                said = layer;
            }
            source = error.source();
        }
        Ok(())
    }
}

/// Whether `text` is `layer`, or a prefix and `layer`.
fn repeats(text: &str, layer: &str) -> bool {
    text.strip_suffix(layer).is_some_and(|before| before.is_empty() || before.ends_with(": "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layer {
        text: &'static str,
        source: Option<Box<Layer>>,
    }

    fn chain(layers: &[&'static str]) -> String {
        let mut error = None;
        for text in layers.iter().rev() {
            error = Some(Box::new(Layer { text, source: error }));
        }
        Chain(error.unwrap().as_ref()).to_string()
    }

    #[test]
    fn every_layer_is_said_once() {
        for (layers, expected) in [
            (&["reading failed", "no such file"][..], "reading failed: no such file"),
            (&["the outbox failed", "disk full", "Error code 13: disk full"], "the outbox failed: disk full"),
            (&["connect: refused", "refused"], "connect: refused"),
            (&["a", "a", "b"], "a: b"),
            (&["failed", "the link failed"], "failed: the link failed"),
            (&["alone"], "alone"),
        ] {
            assert_eq!(chain(layers), expected);
        }
    }
}
