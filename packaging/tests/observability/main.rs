//! The alert rules and the dashboards, tried on the tools that will read them and on the programs that they are about.
#![expect(clippy::unwrap_used, reason = "in a test the panic is the report")]

mod dashboards;
mod live;
mod pack;
mod rules;
mod scene;
mod selectors;
