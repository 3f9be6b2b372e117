//! A part of Fashion-MNIST that is compiled into the library.
//!
//! 2,500 training and 2,000 test images of 28 by 28 grey pixels: the first 250 and the first 200 of
//! each class in the official files, in their order there. It is the data of the demonstration and
//! of tests, since it needs no network and no folder. Scores on it are not comparable with scores
//! on Fashion-MNIST, which has 24 times as many training images.
//!
//! Fashion-MNIST is by Zalando SE, under the MIT licence, which lies next to the data.

use std::path::Path;

use super::{ImageSet, Splits, idx};
use crate::Result;

/// The classes of Fashion-MNIST, in the order of their labels.
pub const FASHION_MNIST_CLASSES: [&str; 10] = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
];

macro_rules! asset {
    ($name:literal) => {{
        let bytes: &[u8] = include_bytes!(concat!("../../assets/fashion-mnist/", $name));
        (Path::new(concat!("embedded/", $name)), bytes)
    }};
}

/// Unpacks the embedded images: `[2500, 1, 28, 28]` for training and `[2000, 1, 28, 28]` for
/// testing.
///
/// # Errors
///
/// Only if the library was built from damaged files; the tests of this crate make sure that it was
/// not.
pub fn load() -> Result<Splits> {
    let unpack = |images, labels| -> Result<ImageSet> {
        idx::image_set(images, labels, &FASHION_MNIST_CLASSES)
    };
    let train = unpack(asset!("train-images-idx3-ubyte.gz"), asset!("train-labels-idx1-ubyte.gz"))?;
    let test = unpack(asset!("t10k-images-idx3-ubyte.gz"), asset!("t10k-labels-idx1-ubyte.gz"))?;
    Ok(Splits::new(train, test))
}
