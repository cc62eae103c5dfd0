//! A Jitsi host in a box, and the two ends to measure the product between.
//!
//! Receiving and measuring:
//! - [`mod@bench`]: the figures of `docs/performance.md`; [`floor`] is the bare loop that the agent is measured against.
//! - [`load`]: what drives the product from both ends, and what it costs.
//! - [`sink`]: a receiver for the agent's deliveries that remembers every id and misbehaves on demand.
//! - [`wait`]: the one way in which anything here waits.
//!
//! The host:
//! - [`prosody`]: a real Prosody with Jitsi's hosts and the event module; [`spool`] reads what the module writes.
//! - [`xmpp`]: participants and recorders; [`focus`] answers them as jicofo does.
//! - [`jibri`]: recordings by a real ffmpeg, laid out and finished as Jibri does it.
//! - [`meeting`]: a scripted meeting in that Prosody with that recorder.
//! - [`s3`]: the object storage that recordings are uploaded to; [`sqs`]: another one, with the queue that it notifies.
//! - [`whereby`]: the other platform, with its webhooks.
//! - [`api`], [`agent`] and [`stack`]: the real programs, and everything at once; [`secrets`] is what they share.
//! - [`proxy`]: a network between them that fails on demand; [`trouble`] is an API that fails in every way, at random.
//! - [`demo`]: all of it, told as it happens; [`guide`] is what the Jitsi guide's commands take for granted.
//! - [`replicas`]: several of the API on one [`postgres`], behind a balancer.
//! - [`process`], [`home`] and [`ports`]: programs that end with the testbed, where they live and where they listen.

pub mod agent;
pub mod api;
pub mod bench;
pub mod demo;
pub mod floor;
pub mod focus;
pub mod guide;
pub mod home;
pub mod jibri;
pub mod load;
pub mod meeting;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod prosody;
pub mod proxy;
pub mod replicas;
pub mod s3;
pub mod secrets;
pub mod sink;
pub mod spool;
pub mod sqs;
pub mod stack;
pub mod trouble;
pub mod wait;
pub mod whereby;
pub mod xmpp;
