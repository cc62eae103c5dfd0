//! What drives the product from both ends: lines for a spool, a process of the agent, requests for the API, and what
//! they cost.
//!
//! Everything here works on the shipped binaries through their documented interfaces; nothing reaches into them.

mod agent;
mod answer;
mod binary;
mod fire;
mod lines;
mod paced;
mod requests;
mod spool;
mod steady;
mod stubborn;
mod usage;

pub use agent::{Agent, Settings};
pub use answer::{Head, head_of};
pub use binary::{BinaryMissing, binary};
pub use fire::{Fired, fire};
pub use lines::{Line, Lines};
pub use paced::{Paced, Plan};
pub use requests::{Request, Requests};
pub use spool::{Rotation, SpoolWriter};
pub use steady::{Steady, read_steadily};
pub use stubborn::{Seen, Stubborn};
pub use usage::{Memory, cpu_time, memory};
