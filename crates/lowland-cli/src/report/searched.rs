//! A search for settings: its answer, its table on the terminal, its part of the page.

use super::answer;
use super::chart::{ACROSS, Area, Chart, UPWARD};
use super::figure::{Data, Entry, Figure, cell};
use super::markup::{joined, prose};
use super::scale::Scale;
use crate::compare::statistics::mean;
use crate::compare::summary::{Candidate, Gain, Interval, Outcome, Searched, Summary};
use crate::compare::terms::Says;
use crate::layout::Grid;
use crate::program;
use crate::words::{MISSING, counted, counted_as, number, percent, points, roughly};

/// What stands in the place of the score of a run that diverged.
const DIVERGED: &str = "diverged";

/// The answer of a search in a few sentences.
pub(super) fn answer(searched: &Searched, summary: &Summary) -> String {
    let spent = spent(searched);
    let resume = program::command("resume");
    let Some(outcome) = &searched.outcome else {
        return format!("The search is not over: {spent}. {resume} continues it.");
    };
    let Some((base, winner)) = searched.names() else {
        return format!("The search is not over: {spent}.");
    };
    let settings = searched.candidates.iter().filter(|one| !one.is_base).count();
    let best = match settings {
        1 => winner.to_owned(),
        _ => format!("{winner}, the best of {},", counted(settings, "setting")),
    };
    let budget = searched.budget.in_words();
    if let Some(diverged) = diverged(searched, base, winner) {
        return format!(
            "No answer: with fresh seeds {diverged}. Begin a search with a smaller learning rate or \
             smaller radii."
        );
    }
    let (Some(gain), Some(scores)) = (outcome.mean, Means::of(&searched.gains)) else {
        return format!(
            "Not decided within {budget}: no pair of runs with a fresh seed was left for the test of \
             {winner}. {resume} takes a larger budget."
        );
    };
    let (reached, base_reached) = (percent(scores.winner), percent(scores.base));
    let tested = tested(searched, outcome);
    let margin = answer::margin_points(searched.margin);
    let cost = summary
        .algorithms
        .get(1)
        .map(|algorithm| answer::cost(algorithm, base, answer::time_of(&summary.setting)));
    let cost = cost.unwrap_or_default();
    let size = points(gain);
    let size = size.trim_start_matches(['+', '−']);
    match outcome.says {
        Says::Yes => format!(
            "Yes: {best} reached {reached} on validation, {size} points above {base}'s \
             {base_reached} ({tested}){cost}. The search took {spent}."
        ),
        Says::No => {
            let but = match outcome.interval {
                Some(Interval { low, .. }) if low > 0.0 => "there is a gain, but one of",
                _ => "a gain of",
            };
            format!(
                "No: {but} {margin} is ruled out. {best} reached {reached} on validation beside {base}'s \
                 {base_reached} ({} points, {tested}){cost}. The search took {spent}.",
                points(gain)
            )
        }
        Says::Undecided => format!(
            "Not decided within {budget}: {best} reached {reached} on validation beside {base}'s \
             {base_reached} ({} points, {tested}){cost}. {}",
            points(gain),
            further(outcome)
        ),
    }
}

/// The means of both on validation.
struct Means {
    base: f64,
    winner: f64,
}

impl Means {
    fn of(gains: &[Gain]) -> Option<Self> {
        let (base, winner): (Vec<f64>, Vec<f64>) = gains.iter().filter_map(Gain::both).unzip();
        Some(Self { base: mean(&base)?, winner: mean(&winner)? })
    }
}

/// How many runs with fresh seeds diverged, in words; `None` where none did.
fn diverged(searched: &Searched, base: &str, winner: &str) -> Option<String> {
    let all = searched.gains.len();
    let of = |name: &str, score: fn(&Gain) -> Option<f64>| {
        let count = searched.gains.iter().filter(|gain| score(gain).is_none()).count();
        (count > 0).then(|| format!("{name} {DIVERGED} on {count} of {all}"))
    };
    let found = [of(base, |gain| gain.base), of(winner, |gain| gain.winner)];
    let found: Vec<String> = found.into_iter().flatten().collect();
    (!found.is_empty()).then(|| found.join(" and "))
}

/// The interval and the seeds behind it.
fn tested(searched: &Searched, outcome: &Outcome) -> String {
    let seeds = counted(searched.gains.len(), "fresh seed");
    match outcome.interval {
        Some(Interval { low, high }) => {
            format!("{} interval {} to {}, {seeds}", level(searched), points(low), points(high))
        }
        None => format!("{seeds}, which allow no test"),
    }
}

/// The level of the interval: "95 %", "97.5 %".
fn level(searched: &Searched) -> String {
    let level = number(100.0 * searched.level, 2);
    format!("{} %", level.trim_end_matches('0').trim_end_matches('.'))
}

/// What would decide.
fn further(outcome: &Outcome) -> String {
    match outcome.further_pairs {
        Some(pairs) => format!(
            "About {} would probably decide: {} takes a larger budget.",
            counted_as(pairs, "more pair of runs", "more pairs of runs"),
            program::command("resume")
        ),
        None => "Even a thousand pairs of runs would probably not decide.".to_owned(),
    }
}

/// Passes in words, without their fraction.
fn passes(passes: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a conversion from floating point saturates"
    )]
    let whole = passes.round() as usize;
    counted_as(whole, "pass", "passes")
}

/// What the search has used.
fn spent(searched: &Searched) -> String {
    let spent = &searched.spent;
    format!(
        "{}, {} and {}",
        counted(spent.runs, "run"),
        passes(spent.passes),
        roughly(spent.seconds)
    )
}

/// The settings and what became of them, as rows of words: the setting, its seeds, its score, its
/// end.
fn rows(searched: &Searched) -> Vec<[String; 4]> {
    let row = |(place, one): (usize, &Candidate)| {
        let chosen =
            searched.finalists.is_some_and(|(base, winner)| [base, winner].contains(&place));
        let end = match (one.left_after, one.is_base, chosen) {
            (Some(round), ..) => format!("eliminated in round {round}"),
            (None, true, true) => "the baseline".to_owned(),
            (None, false, true) => "the winner".to_owned(),
            (None, _, false) if searched.finalists.is_some() => "not chosen".to_owned(),
            (None, _, false) => "in the search".to_owned(),
        };
        let score = match (one.mean(), one.diverged()) {
            (None, 0) => MISSING.to_owned(),
            (None, _) => DIVERGED.to_owned(),
            (Some(mean), 0) => percent(mean),
            (Some(mean), count) => format!("{}, {count} {DIVERGED}", percent(mean)),
        };
        [one.label.clone(), one.scores.len().to_string(), score, end]
    };
    searched.candidates.iter().enumerate().map(row).collect()
}

/// The search as a table for the terminal, in lines of at most `width` characters.
pub(super) fn table(searched: &Searched, measure: &str, width: usize) -> String {
    let mut grid = Grid::new()
        .words("setting")
        .numbers("seeds")
        .numbers(format!("validation\n{measure}"))
        .words("in the search");
    for cells in rows(searched) {
        grid.push(cells);
    }
    grid.within(width)
}

/// The search on the page: what became of the settings, and the pairs of the test.
pub(super) fn section(searched: &Searched, measure: &str) -> String {
    let heads = ["setting", "seeds", "mean on validation", "in the search"];
    let head = joined(heads.iter().map(|head| format!("<th scope=\"col\">{head}</th>")));
    let rows = rows(searched).into_iter().map(|[label, cells @ ..]| {
        let cells = joined(cells.iter().map(|cell| format!("<td>{}</td>", prose(cell))));
        format!("<tr><th scope=\"row\">{}</th>{cells}</tr>\n", prose(&label))
    });
    let figures = [scores(searched, measure), gains(searched)];
    let figures = joined(figures.into_iter().flatten().map(|figure| figure.html()));
    let cut = if searched.cut {
        " It ended before one setting was left, because another round would have left less than half of \
         the budget to the test."
    } else {
        ""
    };
    let levels = if searched.budgets > 1 {
        " With each further budget the test is stricter, so that all of them together claim a gain \
         where there is none in at most 5 % of searches."
    } else {
        ""
    };
    let how = format!(
        "All settings trained with one seed, the better half with as many seeds again, and so on.{cut} \
         The winner and the baseline then trained with fresh seeds, which had no part in the choice. \
         The answer is yes where the {} interval of the gain on validation lies above zero, and no where \
         it lies below {}.{levels} The search took {}, of a budget of {}.",
        level(searched),
        answer::margin_points(searched.margin),
        spent(searched),
        searched.budget.in_words(),
    );
    format!(
        "<section>\n<h2>The search</h2>\n<p>{}</p>\n<div class=\"figures\">\n{figures}</div>\n\
         <div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"The settings\">\
         <table class=\"numbers\"><thead><tr>{head}</tr></thead><tbody>\n{}</tbody></table></div>\n\
         </section>\n",
        prose(&how),
        joined(rows)
    )
}

/// The scores of all settings in the search.
fn scores(searched: &Searched, measure: &str) -> Option<Figure> {
    let tried: Vec<(usize, &Candidate)> =
        searched.candidates.iter().enumerate().filter(|(_, one)| !one.scores.is_empty()).collect();
    let all: Vec<f64> = tried
        .iter()
        .flat_map(|(_, one)| one.scores.iter().flatten())
        .map(|score| 100.0 * score)
        .collect();
    if all.is_empty() {
        return None;
    }
    let half = (ACROSS.1 - ACROSS.0) / (2.0 * tried.len() as f64);
    let inset = if tried.len() > 1 { half } else { 0.0 };
    let ends = (ACROSS.0 + inset, ACROSS.1 - inset);
    let x = Scale::counting(1, tried.len(), ends, 8.0);
    let mut chart = Chart::new(x, Scale::around(&all, UPWARD, 5.0))
        .x_ticks()
        .axis_names("setting", &format!("validation {measure}, %"));
    for (column, (place, one)) in tried.iter().enumerate() {
        let column = (column + 1) as f64;
        let series = usize::from(searched.finalists.is_some_and(|(_, winner)| winner == *place));
        let at = chart.x_at(column);
        if let Some(mean) = one.mean() {
            let y = chart.y_at(100.0 * mean);
            chart.level_bar(series, (at - 9.0, at + 9.0), y);
        }
        for (seed, score) in searched.seeds.iter().zip(&one.scores) {
            let Some(score) = score.map(|score| 100.0 * score) else { continue };
            chart.marker(series, column, score);
            let lines = [
                format!("{}, seed {seed}", one.label),
                format!("{} on validation", percent(score / 100.0)),
            ];
            chart.readout(Area::around(at, chart.y_at(score)), &[series], &lines);
        }
    }
    let title = "What the settings reached in the search";
    let legend = searched.names().map(|(_, winner)| Entry {
        series: 1,
        label: winner.to_owned(),
        value: "the winner".to_owned(),
    });
    Some(Figure {
        title: title.to_owned(),
        caption:
            "Each mark is a run, each column a setting in the order of the table. Bar: the mean \
                  over its seeds. Better settings have more of them. Runs that diverged have no mark."
                .to_owned(),
        legend: legend.into_iter().collect(),
        picture: chart.finish(title, "One mark for each run, in a column for each setting."),
        data: scores_data(searched, measure),
    })
}

fn scores_data(searched: &Searched, measure: &str) -> Data {
    let mut data = Data::new(&["setting", "seed", &format!("{measure} on validation, %")]);
    for one in &searched.candidates {
        for (seed, score) in searched.seeds.iter().zip(&one.scores) {
            data.push(vec![
                one.label.clone(),
                seed.to_string(),
                cell(score.map(|score| 100.0 * score)),
            ]);
        }
    }
    data
}

/// What a run reached, in words.
fn reached(score: Option<f64>) -> String {
    score.map_or_else(|| DIVERGED.to_owned(), percent)
}

fn gains_data(gains: &[Gain]) -> Data {
    let mut data = Data::new(&["seed", "baseline, %", "winner, %"]);
    for Gain { seed, base, winner } in gains {
        let percent = |score: &Option<f64>| cell(score.map(|score| 100.0 * score));
        data.push(vec![seed.to_string(), percent(base), percent(winner)]);
    }
    data
}

/// The gains of the winner with fresh seeds, with the interval that decides.
fn gains(searched: &Searched) -> Option<Figure> {
    let (base, winner) = searched.names()?;
    if searched.gains.iter().all(|gain| gain.size().is_none()) {
        return None;
    }
    let gain = |one: &Gain| one.size().map(|size| 100.0 * size);
    let interval = searched.outcome.as_ref().and_then(|outcome| outcome.interval);
    let ends = interval.map(|Interval { low, high }| [100.0 * low, 100.0 * high]);
    let margin = 100.0 * searched.margin;
    let mut all: Vec<f64> = searched.gains.iter().filter_map(gain).collect();
    all.extend([0.0, margin]);
    all.extend(ends.into_iter().flatten());
    let count = searched.gains.len();
    let ends_of_field = (ACROSS.0 + 14.0, ACROSS.1 - 14.0);
    let x = Scale::counting(1, count, ends_of_field, 8.0);
    let mut chart = Chart::new(x, Scale::around(&all, UPWARD, 5.0))
        .x_ticks()
        .axis_names("pair of runs", &format!("gain over {base}, points"));
    let (left, right) = (1.0, count.max(2) as f64);
    if let Some([low, high]) = ends {
        chart.band(1, &[(left, low, high), (right, low, high)]);
    }
    chart.line(0, "line", &[(left, 0.0), (right, 0.0)]);
    chart.line(0, "level", &[(left, margin), (right, margin)]);
    let mean = searched.outcome.as_ref().and_then(|outcome| outcome.mean);
    if let Some(mean) = mean {
        chart.line(1, "level", &[(left, 100.0 * mean), (right, 100.0 * mean)]);
    }
    for (place, one) in searched.gains.iter().enumerate() {
        let at = (place + 1) as f64;
        let Some(value) = gain(one) else { continue };
        chart.marker(1, at, value);
        let lines = [
            format!("seed {}: {} points", one.seed, points(value / 100.0)),
            format!("{winner} {}", reached(one.winner)),
            format!("{base} {}", reached(one.base)),
        ];
        let area = Area::around(chart.x_at(at), chart.y_at(value));
        chart.readout(area, &[1, 0], &lines);
    }
    let title = "The gain with fresh seeds, on validation";
    let value = mean.map_or_else(|| MISSING.to_owned(), |mean| format!("{} points", points(mean)));
    Some(Figure {
        title: title.to_owned(),
        caption: format!(
            "Each mark is the gain of {winner} over {base} with one fresh seed. Strong line: no gain; \
             grey dashed line: the gain of {} that counts; coloured dashed line and band: the mean and \
             its {} interval.",
            answer::margin_points(searched.margin),
            level(searched)
        ),
        legend: vec![Entry { series: 1, label: winner.to_owned(), value }],
        picture: chart.finish(title, "One mark for each pair of runs."),
        data: gains_data(&searched.gains),
    })
}

#[cfg(test)]
mod tests;
