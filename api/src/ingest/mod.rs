//! Group commit: events of concurrent requests share a transaction.
