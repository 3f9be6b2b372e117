//! The subcommands, one file each.

pub mod bench;
pub mod compare;
pub mod data;
pub mod demo;
pub mod landscape;
pub mod list;
pub mod report;
pub mod resume;
pub mod sharpness;
pub mod train;
