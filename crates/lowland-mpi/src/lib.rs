//! Lowland on many machines: workers that reach one another by MPI, over
//! [rsmpi](https://docs.rs/mpi) (feature `mpi`, off by default; without it this crate has nothing
//! but [`SIZES`]).
//!
//! ```text
//! mpirun -n 4 program
//! ```
//!
//! A program joins its fellows once, by `World::join`, and gives the optimizer its
//! [`Workers`](lowland::Workers), from `World::workers`; all else is as it is for one worker.

/// The environment variables in which launchers put the number of processes that they start, in the
/// order in which they are believed: the innermost launcher first. Here without the feature too.
pub const SIZES: [&str; 3] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"];

#[cfg(feature = "mpi")]
mod link;
#[cfg(feature = "mpi")]
mod world;

#[cfg(feature = "mpi")]
pub use world::{Error, Join, World};
