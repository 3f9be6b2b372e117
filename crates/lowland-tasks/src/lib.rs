//! Tasks for Lowland: data sets, models and the training loop.
//!
//! [`data`] reads labelled images and makes batches of them; [`models`] are the networks that learn
//! from them; [`config`] holds everything that decides a run, a [`Spec`] the checked settings with
//! their algorithm put together, and [`train`] runs it; [`quantise`] rounds what a network learned
//! to integers; [`checkpoint`] saves what a run needs to resume, and [`flatness`] measures the
//! minimum that it found. [`text`] has sentences and a pretrained transformer to fine-tune,
//! [`pose`] people and where their joints are. [`weights`] reads the weights of other programs and
//! writes them for others. [`own`] is for a network and samples of your own.

mod answer;
pub mod checkpoint;
pub mod config;
pub mod data;
mod error;
pub mod evaluation;
pub mod events;
pub mod flatness;
pub mod models;
pub mod own;
mod pickle;
pub mod pose {
    //! Human pose: where the joints of a person are in an image.
    //!
    //! The way of a person is a straight line: [`PoseSplits::read`] reads COCO keypoint files and
    //! keeps a picture of each person in a [`PoseSet`]; a [`PoseSource`] turns them as chance has
    //! it and makes images and heatmaps of them, one heatmap a joint with a bump where the joint
    //! is; a [`PoseNet`] learns these ([`heatmap_losses`]); [`decode`](fn@decode) finds the joints
    //! in what it says; [`pck`] and [`average_precision`] measure how good they are, and
    //! [`picture`](fn@picture) shows them.
    //!
    //! Coordinates are pixels, first to the right and then down, and continuous: the pixel in
    //! column `i` reaches from `i` to `i + 1`. So an image that is scaled by `s` has all its
    //! coordinates times `s`.

    pub mod coco;
    mod cut;
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
    mod unused;

    pub use cut::PoseSplits;
    pub(crate) use cut::{EXPECTED_FILES, Whole};
    pub use decode::{FoundJoint, decode};
    pub use geometry::Affine;
    pub use loss::heatmap_losses;
    pub use metrics::{
        AveragePrecision, Pck, Reference, average_precision, joint_sigmas,
        object_keypoint_similarity, pck,
    };
    pub use network::{PoseNet, PoseNetConfig, Stem};
    pub use picture::picture;
    pub use prepare::{
        HostPoseBatch, PoseBatch, PoseConfig, PoseMove, PosePreparation, PoseSource,
    };
    pub use set::{CropConfig, Person, PoseSet};
    pub use skeleton::Skeleton;
}
pub mod precision;
pub mod quantise;
pub mod record;
pub mod regression;
mod spec;
pub mod spelling;
pub mod task;
pub mod text;
pub mod train;
pub mod weights {
    //! Weights from files, whoever wrote them, and weights for readers elsewhere.
    //!
    //! [`parse`] reads Burn's records (`.bpk`), SafeTensors and the files of `torch.save`, of which
    //! no code is run. A network takes those that are its own by their [`Names`]; what does not fit
    //! is an error that says what is there, what was expected and what to do. [`to_safetensors`]
    //! writes what PyTorch's `load_state_dict` takes.

    mod export;
    mod loading;
    mod names;
    mod pth;
    mod stored;
    mod write;

    pub use export::{Export, MODEL, WRITTEN_BY};
    pub(crate) use loading::{Head, load};
    pub use names::Names;
    pub(crate) use stored::is_lowlands;
    pub use stored::{Stored, parse};
    pub use write::to_safetensors;
}

pub use error::{Error, Result};
pub use spec::Spec;
