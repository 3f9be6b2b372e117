//! Human pose: reading, preparing, the network, and how good what it finds is.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod folder;
mod measuring;
mod network;
mod preparing;
mod reading;
