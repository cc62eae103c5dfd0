//! The secrets of one box, new for every box.

use std::fs::File;
use std::io::Read;

use anyhow::Result;

/// The secrets that the parts of one box share.
#[derive(Debug, Clone)]
pub struct Secrets {
    /// Signs deliveries: `JITSI_WEBHOOK_SECRET`.
    pub webhook: String,
    /// Signs the tokens that open rooms: `JITSI_JWT_SECRET`.
    pub rooms: String,
    /// Signs the tokens of the API's callers: `AUTH_JWT_SECRET`.
    pub callers: String,
    /// Opens the operators' page: `OPS_PASSWORD`.
    pub operators: String,
}

impl Secrets {
    /// Random ones.
    pub fn random() -> Result<Self> {
        let long = || anyhow::Ok(format!("{:032x}{:032x}", random()?, random()?));
        let short = || anyhow::Ok(format!("{:032x}", random()?));
        Ok(Self { webhook: short()?, rooms: long()?, callers: long()?, operators: short()? })
    }
}

/// 128 random bits.
fn random() -> Result<u128> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(u128::from_be_bytes(bytes))
}
