//! The comparison as one HTML page that needs nothing else: no network, no font, no other file.
//!
//! The page is a pure function of the stored [`Summary`]. It is complete without its script, which
//! only adds values at the pointer. A new figure is a function that returns a `Figure` and a line
//! in `figures`; a new table of numbers is a function in `numbers`.

use crate::compare::landscapes::Landscapes;
use crate::compare::summary::Summary;

pub(crate) mod answer;
mod chart;
mod confusion;
mod course;
mod curves;
mod figure;
mod flatness;
mod gallery;
mod key;
mod landscape;
mod markup;
mod numbers;
mod points;
mod sampling;
mod scale;
mod searched;
mod sections;
pub(crate) mod table;

use figure::Figure;
use markup::{escaped, joined, prose};

const STYLE: &str = include_str!("report/style.css");
const SCRIPT: &str = include_str!("report/script.js");

/// Forbids the page every request, so that "needs nothing else" is a promise that browsers keep.
const POLICY: &str =
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'";

/// The page of a comparison.
pub(crate) fn html(summary: &Summary) -> String {
    let main = [
        opening(summary),
        search(summary),
        format!("<section class=\"found\">\n{}</section>\n", key::table(summary)),
        figures(summary),
        gallery::section(&summary.galleries),
        sections::setting(summary),
        sections::reading(summary),
        sections::repeat(summary),
    ];
    page(&summary.title, &joined(main))
}

/// The page of landscapes alone.
pub(crate) fn landscape_page(landscapes: &Landscapes) -> String {
    let title = "The loss around the ends of runs";
    let figures = joined(landscape::figures(landscapes).iter().map(Figure::html));
    let main = format!(
        "<header>\n<p class=\"kind\">Lowland landscape</p>\n<h1>{title}</h1>\n</header>\n\
         <section aria-label=\"Figures\">\n<div class=\"figures\">\n{figures}</div>\n</section>\n{}",
        sections::landscape(landscapes),
    );
    page(title, &main)
}

/// A page around what it shows.
fn page(title: &str, main: &str) -> String {
    let title = escaped(title);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{main}</main>\n\
         <script>\n{SCRIPT}</script>\n</body>\n</html>\n"
    )
}

/// Title, question and answer.
fn opening(summary: &Summary) -> String {
    let (title, question) = (prose(&summary.title), prose(&summary.question));
    let (kind, answer) = match &summary.searched {
        Some(searched) => ("search", searched::answer(searched, summary)),
        None => ("comparison", answer::answer(summary)),
    };
    let answer = prose(&answer);
    format!(
        "<header>\n<p class=\"kind\">Lowland {kind}</p>\n<h1>{title}</h1>\n\
         <p class=\"question\">{question}</p>\n<p class=\"answer\">{answer}</p>\n</header>\n"
    )
}

/// The search for settings, where there was one, and what the test samples say of its end.
fn search(summary: &Summary) -> String {
    let Some(found) = &summary.searched else { return String::new() };
    let section = searched::section(found, summary.setting.measure());
    let tested = match found.outcome {
        Some(_) if !found.gains.is_empty() => prose(&answer::answer(summary)),
        _ => "The test samples are not looked at before the budget is used up.".to_owned(),
    };
    format!("{section}<h2>The test samples, measured once</h2>\n<p>{tested}</p>\n")
}

/// All figures, and the numbers behind them.
fn figures(summary: &Summary) -> String {
    let figures = [
        Some(curves::accuracy(summary)),
        curves::training_accuracy(summary),
        Some(points::cost(summary)),
        Some(curves::training_loss(summary)),
        Some(curves::measured_loss(summary)),
        sampling::figure(summary),
        sampling::psf(summary),
        sampling::gradient_norm(summary),
        sampling::radius(summary),
        curves::learning_rate(summary),
        flatness::eigenvalues(summary),
        flatness::density(summary),
        Some(points::seeds(summary)),
    ];
    let landscapes = summary.landscapes.iter().flat_map(|found| {
        let source = sections::landscape_source(found);
        let with_source = move |figure: Figure| Figure {
            caption: format!("{} {source}", figure.caption),
            ..figure
        };
        landscape::figures(found).into_iter().map(with_source)
    });
    let figures: Vec<Figure> = figures
        .into_iter()
        .flatten()
        .chain(confusion::figures(summary))
        .chain(landscapes)
        .collect();
    let figures = joined(figures.iter().map(Figure::html));
    let numbers =
        [numbers::runs(summary), numbers::epochs(summary), flatness::numbers(summary)].concat();
    format!(
        "<section aria-label=\"Figures\">\n<h2>In pictures</h2>\n\
         <div class=\"figures\">\n{figures}</div>\n{numbers}</section>\n"
    )
}

#[cfg(test)]
mod tests;
