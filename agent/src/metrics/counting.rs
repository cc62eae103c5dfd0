//! The layer that adds up the fields of log events.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{FilterFn, filter_fn};
use tracing_subscriber::layer::Context;

use super::catalogue::{COUNTED, Counted, Kind};

/// The upper edges of the histogram's buckets, in seconds.
pub(super) const BUCKETS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// What was added up so far, for each metric of [`COUNTED`] and each value of its label. Clones share the numbers.
#[derive(Clone)]
pub struct Counting(Arc<Mutex<Vec<BTreeMap<String, Series>>>>);

/// One line of a counter, or one histogram.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Series {
    /// What was added, or how many were observed.
    pub count: u64,
    /// The sum of what was observed.
    pub sum: f64,
    /// How many were observed up to each edge of [`BUCKETS`], not cumulative.
    pub buckets: [u64; BUCKETS.len()],
}

impl Default for Counting {
    fn default() -> Self {
        let mut all = vec![BTreeMap::new(); COUNTED.len()];
        for (series, metric) in all.iter_mut().zip(COUNTED) {
            if metric.label.is_none() {
                // A counter that is not there cannot be told from one that was forgotten.
                series.insert(String::new(), Series::default());
            }
        }
        Self(Arc::new(Mutex::new(all)))
    }
}

impl Counting {
    /// The layer, which sees only the events that feed a metric: every other event costs what it cost before.
    pub fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
    {
        let feeds: FilterFn<fn(&Metadata<'_>) -> bool> = filter_fn(feeds_a_metric);
        Adding(self.clone()).with_filter(feeds)
    }

    /// Everything so far.
    pub(super) fn read(&self) -> Vec<BTreeMap<String, Series>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn add(&self, fed: &Fed) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (series, metric) in all.iter_mut().zip(COUNTED) {
            let Some((_, value)) = fed.numbers.iter().find(|(field, _)| *field == metric.field) else {
                continue;
            };
            let label = metric.label.and_then(|label| fed.labels.get(label)).cloned().unwrap_or_default();
            series.entry(label).or_default().take(metric.kind, *value);
        }
    }
}

impl Series {
    fn take(&mut self, kind: Kind, value: f64) {
        match kind {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "counts, and it saturates"
            )]
            Kind::Counter => self.count += value as u64,
            Kind::Histogram => {
                self.count += 1;
                self.sum += value;
                if let Some(at) = BUCKETS.iter().position(|edge| value <= *edge) {
                    self.buckets[at] += 1;
                }
            }
        }
    }
}

fn feeds_a_metric(metadata: &Metadata<'_>) -> bool {
    metadata.is_event() && metadata.fields().iter().any(|field| metric_field(field.name()).is_some())
}

/// `NAME` of `count.NAME` and `observe.NAME`.
fn metric_field(field: &str) -> Option<&str> {
    field.strip_prefix("count.").or_else(|| field.strip_prefix("observe."))
}

struct Adding(Counting);

impl<S: Subscriber> Layer<S> for Adding {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fed = Fed::default();
        event.record(&mut fed);
        self.0.add(&fed);
    }
}

/// What one event says.
#[derive(Default)]
struct Fed {
    numbers: Vec<(&'static str, f64)>,
    labels: BTreeMap<&'static str, String>,
}

impl Fed {
    fn number(&mut self, field: &Field, value: f64) -> bool {
        let Some(name) = metric_field(field.name()) else { return false };
        self.numbers.push((name, value));
        true
    }

    fn label(&mut self, field: &Field, value: impl FnOnce() -> String) {
        let is_label = |metric: &Counted| metric.label == Some(field.name());
        if COUNTED.iter().any(is_label) {
            self.labels.insert(field.name(), value());
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are small, and labels are not floats")]
impl Visit for Fed {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.number(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if !self.number(field, value as f64) {
            self.label(field, || value.to_string());
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        if !self.number(field, value as f64) {
            self.label(field, || value.to_string());
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.label(field, || value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.label(field, || format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::filter::LevelFilter;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    fn read(counting: &Counting, field: &str) -> BTreeMap<String, Series> {
        let at = COUNTED.iter().position(|metric| metric.field == field).unwrap();
        counting.read().swap_remove(at)
    }

    #[test]
    fn an_event_is_counted_also_when_the_log_hides_it() {
        let counting = Counting::default();
        let log = tracing_subscriber::fmt::layer().with_writer(std::io::sink).with_filter(LevelFilter::WARN);
        let subscriber = tracing_subscriber::registry().with(counting.layer()).with(log);
        tracing::subscriber::with_default(subscriber, || {
            tracing::debug!(count.settled = 3_u64, "hidden");
            tracing::warn!(count.settled = 2_usize, count.parked = 1, "shown");
            tracing::info!(
                count.attempts = 1,
                observe.attempt_seconds = 0.02,
                status = 503_u16,
                "both kinds"
            );
            tracing::info!(count.attempts = 1, observe.attempt_seconds = 99.0, status = "0", "no answer");
            tracing::info!(settled = 1, "not a metric");
        });
        assert_eq!(read(&counting, "settled")[""].count, 5);
        assert_eq!(read(&counting, "parked")[""].count, 1);
        let attempts = read(&counting, "attempts");
        assert_eq!(
            attempts.iter().map(|(k, v)| (k.as_str(), v.count)).collect::<Vec<_>>(),
            [("0", 1), ("503", 1)]
        );
        let took = &read(&counting, "attempt_seconds")[""];
        assert_eq!((took.count, took.buckets[2], took.buckets.iter().sum::<u64>()), (2, 1, 1));
    }
}
