//! The service with the Postgres that it runs itself: the real program, killed and stopped in every way.

mod client;
mod embedded;
mod load;
mod program;
mod wait;
