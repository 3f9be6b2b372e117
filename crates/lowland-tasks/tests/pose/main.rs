//! Human pose: reading, preparing, the network, and how good what it finds is.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]
#![expect(clippy::float_cmp, reason = "what is asked for is exact")]

#[path = "../common/mod.rs"]
mod common;
mod damaged;
mod folder;
mod measuring;
mod network;
mod oracle;
mod preparing;
mod reading;
