//! Lowland on many machines: workers that reach one another by MPI, over
//! [rsmpi](https://docs.rs/mpi) (feature `mpi`, off by default; this crate is empty without it).
//!
//! ```text
//! mpirun -n 4 program
//! ```
//!
//! A program joins its fellows once, by `World::join`, and gives the optimizer its
//! [`Workers`](lowland::Workers), from `World::workers`; all else is as it is for one worker.

#[cfg(feature = "mpi")]
mod link;
#[cfg(feature = "mpi")]
mod world;

#[cfg(feature = "mpi")]
pub use world::{Error, Join, World};
