//! Who a request comes from: signatures of deliveries, bearer tokens of people.

pub mod webhook;
