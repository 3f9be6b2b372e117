//! Human pose: where the joints of a person are in an image.
//!
//! The way of a person is a straight line: [`PoseSplits::read`] reads COCO keypoint files and keeps
//! a picture of each person in a [`PoseSet`]; a [`PoseSource`] turns them as chance has it and
//! makes images and heatmaps of them, one heatmap a joint with a bump where the joint is; a
//! [`PoseNet`] learns these ([`heatmap_losses`]); [`decode`](fn@decode) finds the joints in what it
//! says; [`pck`] and [`average_precision`] measure how good they are, and [`picture`](fn@picture)
//! shows them.
//!
//! Coordinates are pixels, first to the right and then down, and continuous: the pixel in column
//! `i` reaches from `i` to `i + 1`. So an image that is scaled by `s` has all its coordinates times
//! `s`.

pub mod coco;
mod decode;
mod geometry;
mod layout;
mod loss;
mod metrics;
mod network;
mod picture;
mod prepare;
mod set;
mod skeleton;

pub use decode::{FoundJoint, decode};
pub use geometry::Affine;
pub use loss::heatmap_losses;
pub use metrics::{
    AveragePrecision, Pck, Reference, average_precision, joint_sigmas, object_keypoint_similarity,
    pck,
};
pub use network::{PoseNet, PoseNetConfig, Stem};
pub use picture::picture;
pub use prepare::{HostPoseBatch, PoseBatch, PoseConfig, PoseMove, PosePreparation, PoseSource};
pub(crate) use set::EXPECTED_FILES;
pub use set::{CropConfig, Person, PoseSet, PoseSplits};
pub use skeleton::Skeleton;
