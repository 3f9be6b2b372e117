//! What the decoders of images say, in the words of the other errors.

use std::error::Error as _;
use std::io::{self, ErrorKind};
use std::path::Path;

use image::ImageError;
use image::error::UnsupportedErrorKind;

use super::files::format_error;
use crate::Error;

/// What a decoder that has no error for it says of a file that ends early.
const EARLY_ENDS: [&str; 3] = ["does not have enough data", "unexpected end", "unexpected eof"];

/// An error for an image that cannot be decoded.
pub(super) fn error(path: &Path, error: &ImageError, max_megapixels: u32) -> Error {
    match error {
        ImageError::Limits(_) => too_large(path, max_megapixels, "more"),
        ImageError::Unsupported(error) => {
            if let UnsupportedErrorKind::Color(_) = error.kind() {
                return deep(path, "floating-point numbers or more bits");
            }
            let expected = "an image without the features that are not read (save it as PNG)";
            format_error(path, expected.to_owned(), words(error))
        }
        error if ends_early(error) => ended(path),
        error => {
            let found = format!("a damaged one ({})", words(error));
            format_error(path, "a whole image".to_owned(), found)
        }
    }
}

/// An error for an image that lacks its end.
pub(super) fn ended(path: &Path) -> Error {
    format_error(path, "a whole image".to_owned(), "one that ends early".to_owned())
}

/// An error for an image of more pixels than are allowed.
pub(super) fn too_large(path: &Path, max_megapixels: u32, found: &str) -> Error {
    let expected = format!(
        "at most {max_megapixels} million pixels (--max-megapixels, max_megapixels in files, sets \
         the limit)"
    );
    format_error(path, expected, format!("{found} pixels"))
}

/// An error for an image with values of a range that is not set.
pub(super) fn deep(path: &Path, found: &str) -> Error {
    let expected =
        "whole numbers of at most 16 bits for each colour (convert the image, to PNG for example)";
    format_error(path, expected.to_owned(), found.to_owned())
}

/// Whether the file ends where more is needed.
fn ends_early(error: &ImageError) -> bool {
    let is_end = |error: &io::Error| error.kind() == ErrorKind::UnexpectedEof;
    if matches!(error, ImageError::IoError(error) if is_end(error)) {
        return true;
    }
    let mut source = error.source();
    while let Some(error) = source {
        if error.downcast_ref::<io::Error>().is_some_and(is_end) {
            return true;
        }
        source = error.source();
    }
    let text = error.to_string().to_lowercase();
    EARLY_ENDS.iter().any(|known| text.contains(known))
}

/// A message in one line: some have several.
fn words(error: &impl ToString) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}
