//! Which columns of a table are texts and labels.

use std::array;
use std::path::Path;

use super::rows::{line_error, quoted, shortened};
use crate::{Error, Result};

/// What columns of texts are usually called.
const TEXT: &[&str] = &[
    "text",
    "sentence",
    "sentence1",
    "text1",
    "premise",
    "question1",
    "content",
    "review",
    "tweet",
    "message",
    "question",
    "title",
    "#1 String",
];

/// What columns of second texts are usually called.
const PAIR: &[&str] = &["text_pair", "sentence2", "text2", "hypothesis", "question2", "#2 String"];

/// What columns of labels are usually called.
const LABEL: &[&str] = &[
    "label",
    "labels",
    "class",
    "category",
    "target",
    "sentiment",
    "gold_label",
    "intent",
    "is_duplicate",
    "quality",
    "stars",
];

/// What to do where the columns of your own table are not found.
const FLAGS: &str = ": choose columns with --text-column and --label-column, by number where the \
                     first line has no names";

/// Which columns of your own table are read, each by its name, or by its number counted from 1.
///
/// The first line holds the names of columns where one of the names is in it, those that are usual
/// for columns not given included; otherwise it is a text, as it always is where all columns are
/// given by number. In a line of names a column may be called by a number, and its name goes first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextColumns {
    /// The text. Default: `text`, `sentence` and other usual names.
    pub text: Option<String>,
    /// The second text of a pair. Default: `sentence2`, `hypothesis` and other usual names, where
    /// there is one of them.
    pub pair: Option<String>,
    /// The label. Default: `label`, `class` and other usual names.
    pub label: Option<String>,
}

/// Which columns are wanted: for each, the names that it may have, the first that is there being
/// taken.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a question of its own")]
pub(crate) struct Columns {
    pub(crate) text: Vec<String>,
    /// Empty where no second text is wanted.
    pub(crate) pair: Vec<String>,
    /// Whether it is an error if there is no second text.
    pub(crate) needs_pair: bool,
    pub(crate) label: Vec<String>,
    /// Whether labels are wanted, and not only a way to know the names of columns by.
    pub(crate) needs_label: bool,
    /// The places of text, second text and label, counted from 0, where they have none of the
    /// names.
    pub(crate) numbers: [Option<usize>; 3],
    /// Where the columns are in a file whose first line names none.
    pub(crate) unnamed: Option<Places>,
    /// Whether a `.csv` file with a tab in its first line is read as a file of tabs.
    pub(crate) tabs_in_csv: bool,
    /// What to do where they are not found, to be put behind what was.
    pub(crate) way: &'static str,
}

/// Columns by their places, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    pub(crate) text: usize,
    pub(crate) pair: Option<usize>,
    pub(crate) label: Option<usize>,
    /// How many columns there must be.
    pub(crate) count: Count,
}

/// How many columns each line must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    /// As many as the first.
    LikeTheFirst,
    /// So many.
    Exactly(usize),
    /// So many or more.
    AtLeast(usize),
}

impl Count {
    /// Whether a line may have so many columns where the first has `first`.
    pub(super) fn allows(self, found: usize, first: usize) -> bool {
        match self {
            Self::LikeTheFirst => found == first,
            Self::Exactly(count) => found == count,
            Self::AtLeast(count) => found >= count,
        }
    }

    pub(super) fn in_words(self, first: usize) -> String {
        match self {
            Self::LikeTheFirst => columns_in_words(first),
            Self::Exactly(count) => columns_in_words(count),
            Self::AtLeast(count) => format!("at least {count} columns"),
        }
    }
}

/// A number of columns: "1 column", "3 columns".
pub(super) fn columns_in_words(count: usize) -> String {
    if count == 1 { "1 column".to_owned() } else { format!("{count} columns") }
}

impl TextColumns {
    /// The columns, with the usual names of those that are not given.
    ///
    /// # Errors
    /// [`Error::Setting`] for one column that is to be two.
    pub(super) fn wanted(&self) -> Result<Columns> {
        let given = [&self.text, &self.pair, &self.label];
        let both = |one: &Option<String>, other: &Option<String>| {
            let (one, other) = (one.as_ref()?, other.as_ref()?);
            is_named(one, other).then(|| format!("{} for both", quoted(one)))
        };
        let texts = "another column than that of the texts";
        for (field, one, other, allowed) in [
            ("label_column", &self.text, &self.label, texts),
            ("pair_column", &self.text, &self.pair, texts),
            ("label_column", &self.pair, &self.label, "another column than that of second texts"),
        ] {
            if let Some(found) = both(one, other) {
                return Err(Error::Setting { field, found, allowed });
            }
        }
        let names = |given: &Option<String>, usual: &[&str]| match given {
            Some(name) => vec![name.clone()],
            None => usual.iter().map(|&name| name.to_owned()).collect(),
        };
        // A text that is named has no second one unless that is named too.
        let pair = if self.text.is_some() { &[] } else { PAIR };
        Ok(Columns {
            text: names(&self.text, TEXT),
            pair: names(&self.pair, pair),
            needs_pair: self.pair.is_some(),
            label: names(&self.label, LABEL),
            needs_label: true,
            numbers: given.map(|given| given.as_deref().and_then(number)),
            unnamed: None,
            tabs_in_csv: false,
            way: FLAGS,
        })
    }
}

/// The place, counted from 0, of a column that is given by its number.
fn number(name: &str) -> Option<usize> {
    name.trim().parse::<usize>().ok()?.checked_sub(1)
}

impl Columns {
    /// The columns of files without labels that are to be read as those were that had the columns
    /// `taken`.
    pub(super) fn of_inputs(mut self, taken: &TextColumns) -> Self {
        let names = [&mut self.text, &mut self.pair, &mut self.label];
        for (names, taken) in names.into_iter().zip([&taken.text, &taken.pair, &taken.label]) {
            names.retain(|name| Some(name) != taken.as_ref());
            names.splice(0..0, taken.clone());
        }
        let [text, pair] =
            [&taken.text, &taken.pair].map(|taken| taken.as_deref().and_then(number));
        let [given_text, given_pair, _] = self.numbers;
        let unnamed = self.unnamed.map(|places| Places { label: None, ..places });
        Self {
            numbers: [text.or(given_text), pair.or(given_pair), None],
            unnamed,
            // Whoever reads them says what is wrong with texts of the other kind.
            needs_pair: false,
            needs_label: false,
            way: ": a file without names of columns, one text a line, ends in .txt",
            ..self
        }
    }

    /// Where the columns are, and whether the first line names them.
    ///
    /// # Errors
    /// [`Error::Line`] for columns that are not there, for names that are there twice, and for one
    /// column that is two of those wanted.
    pub(super) fn places(&self, path: &Path, first: &[&str]) -> Result<(Places, bool)> {
        let mut named = [None; 3];
        let all = [
            (&self.text, "--text-column"),
            (&self.pair, "--pair-column"),
            (&self.label, "--label-column"),
        ];
        // A number that stands in the first line may be a label, or a text.
        let words = all.iter().flat_map(|(names, _)| *names).filter(|name| number(name).is_none());
        let is_named = words.into_iter().any(|name| first.iter().any(|at| is_named(at, name)));
        if is_named {
            for (at, (names, flag)) in named.iter_mut().zip(all) {
                *at = self.named(path, first, names, flag)?;
            }
        }
        let at: [Option<usize>; 3] = array::from_fn(|i| named[i].or(self.numbers[i]));
        // Of a file without names all must be numbers that are not the usual ones.
        let is_given = is_named || !self.needs_label || self.label.len() != 1 || at[2].is_some();
        if let [Some(text), pair, label] = at
            && (pair.is_some() || !self.needs_pair)
            && is_given
        {
            let last = at.into_iter().flatten().max().unwrap_or_default();
            if last >= first.len() {
                let expected = format!("at least {} columns", last + 1);
                return Err(line_error(path, 1, &expected, first.len().to_string()));
            }
            if [pair, label].contains(&Some(text)) || (pair.is_some() && pair == label) {
                let expected = "a column for texts and another for labels";
                let found = format!("column {} for both", text + 1);
                return Err(line_error(path, 1, expected, found));
            }
            return Ok((Places { text, pair, label, count: Count::LikeTheFirst }, is_named));
        }
        let found = format!("{}{}", shortened(&first.join(", ")), self.way);
        let unnamed = self.unnamed.map(|places| (places, false));
        unnamed.ok_or_else(|| line_error(path, 1, &self.in_words(), found))
    }

    /// The place of the first of some names that is in the first line.
    fn named(
        &self,
        path: &Path,
        first: &[&str],
        names: &[String],
        flag: &str,
    ) -> Result<Option<usize>> {
        for name in names {
            let mut places = (0..first.len()).filter(|&place| is_named(first[place], name));
            let Some(place) = places.next() else { continue };
            let Some(other) = places.next() else { return Ok(Some(place)) };
            let mut found = format!("two, columns {} and {}", place + 1, other + 1);
            if self.way == FLAGS {
                found = format!("{found}: choose one by its number, such as {flag} {}", place + 1);
            }
            let expected = format!("one column named {}", quoted(first[place].trim()));
            return Err(line_error(path, 1, &expected, found));
        }
        Ok(None)
    }

    /// What the first line, or an object, should have.
    pub(crate) fn in_words(&self) -> String {
        let any = |names: &[String], number: Option<usize>| match (names, number) {
            (_, Some(number)) => format!("{}", number + 1),
            ([name], None) => quoted(name),
            ([first, rest @ ..], None) => {
                let shown: Vec<String> = rest.iter().take(3).map(|name| quoted(name)).collect();
                format!("{} (or {})", quoted(first), shown.join(", "))
            }
            ([], None) => String::new(),
        };
        let [text, pair, label] = self.numbers;
        let second = any(&self.pair, pair);
        let pair = if self.needs_pair { format!(", {second}") } else { String::new() };
        let is_named = if self.numbers.iter().all(Option::is_some) { "" } else { "named " };
        let text = any(&self.text, text);
        if !self.needs_label {
            return format!("a column named {text}");
        }
        format!("columns {is_named}{text}{pair} and {}", any(&self.label, label))
    }
}

/// Whether a column has a name, whatever its case.
pub(super) fn is_named(found: &str, name: &str) -> bool {
    found.trim().eq_ignore_ascii_case(name.trim())
}

/// Whether a text and what else is in its line, the first of a file that is read without names,
/// look like usual names of columns.
pub(super) fn is_line_of_usual_names<'a>(
    text: &str,
    mut others: impl Iterator<Item = &'a str>,
) -> bool {
    let is_usual = |found: &str, usual: &[&str]| usual.iter().any(|name| is_named(found, name));
    is_usual(text, TEXT) || others.any(|other| is_usual(other, LABEL))
}

/// Whether a text with its label, the first of a file that is read without names, is one of names.
/// `others` are the labels of the other texts.
pub(super) fn is_line_of_names(text: &str, label: &str, others: &[String]) -> bool {
    if is_line_of_usual_names(text, [label].into_iter()) {
        return true;
    }
    let mut different: Vec<&String> = others.iter().collect();
    different.sort_unstable();
    different.dedup();
    // A label that is there once says nothing where many are.
    !different.is_empty()
        && different.len() * 2 <= others.len()
        && !others.iter().any(|other| other == label)
}
