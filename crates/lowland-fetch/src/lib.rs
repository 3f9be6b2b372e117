//! Downloads published data sets.
//!
//! [`fetch()`] takes a [`DataSet`] as its publisher has it, resumes what an earlier call left,
//! checks length and SHA-256, unpacks, and renames files into place once verified.
//! [`published`] is the table of the sets that are known; any other can be described with the same
//! types.
//!
//! ```no_run
//! use std::ops::ControlFlow;
//! use std::path::Path;
//!
//! use lowland_fetch::{Options, fetch, published};
//!
//! let (folder, options) = (Path::new("data/mnist"), Options::default());
//! fetch(&published::MNIST, folder, &options, &mut |_| ControlFlow::Continue(()))?;
//! # Ok::<(), lowland_fetch::Error>(())
//! ```

mod archive;
mod data_set;
mod download;
mod error;
mod fetch;
mod inventory;
mod part;
pub mod published;
mod transfer;
mod watch;

pub use data_set::{Contents, DataSet, Member, RemoteFile};
pub use error::{Error, Problem, Result};
pub use fetch::{Outcome, fetch};
pub use part::part_path;
pub use watch::{Event, Options, Watch};
