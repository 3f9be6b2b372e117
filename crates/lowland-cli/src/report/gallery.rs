//! What runs made of single test samples, to look at.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lowland_tasks::task::Picture;

use super::markup::{escaped, joined, prose};
use crate::compare::summary::Gallery;

/// The pictures of all runs that left some; nothing where none did.
pub(super) fn section(galleries: &[Gallery]) -> String {
    if galleries.is_empty() {
        return String::new();
    }
    let galleries = joined(galleries.iter().map(gallery));
    format!(
        "<section class=\"galleries\">\n<h2>Test samples</h2>\n<p>The first ones of the set, as the networks saw them at \
         the end: ground truth dashed white, predictions orange.</p>\n{galleries}</section>\n"
    )
}

fn gallery(gallery: &Gallery) -> String {
    let title = prose(&gallery.label);
    let pictures = joined(gallery.pictures.iter().map(image));
    format!("<h3>{title}</h3>\n<div class=\"gallery\">{pictures}</div>\n")
}

fn image(Picture { name, svg }: &Picture) -> String {
    let (name, svg) = (escaped(name), STANDARD.encode(svg));
    format!("<img alt=\"{name}\" src=\"data:image/svg+xml;base64,{svg}\">")
}
