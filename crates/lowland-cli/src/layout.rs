//! Text that fits the terminal: tables change their shape rather than break their lines, and
//! sentences break between words.

use std::io::IsTerminal;

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use terminal_size::terminal_size;

/// The width in characters that every terminal has. Sentences are broken at it on wider ones too.
pub(crate) const WIDTH: usize = 80;

/// The least width that text is laid out for.
const LEAST: usize = 40;

/// The least width of a first column whose words are broken into lines.
const LEAST_FIRST: usize = 12;

/// The width of standard output: what `COLUMNS` says, or else the terminal's, or else [`WIDTH`].
pub(crate) fn width() -> usize {
    width_where(std::io::stdout().is_terminal()).unwrap_or(WIDTH)
}

/// The width of standard error; `None` where it is no terminal and `COLUMNS` is not set: a log has
/// one line for each message.
pub(crate) fn stderr_width() -> Option<usize> {
    width_where(std::io::stderr().is_terminal())
}

fn width_where(is_terminal: bool) -> Option<usize> {
    let asked = std::env::var("COLUMNS").ok().and_then(|columns| columns.trim().parse().ok());
    let terminal = || terminal_size().map(|(width, _)| usize::from(width.0));
    let found = asked.filter(|columns| *columns > 0);
    let found = found.or_else(|| is_terminal.then(terminal).flatten());
    found.map(|width: usize| width.max(LEAST))
}

/// Breaks a text into lines of at most `width` characters. Lines that it has stay apart, and what
/// stands before the first word of each; a word that is longer than a line is broken.
pub(crate) fn wrapped(text: &str, width: usize) -> String {
    let lines = text.lines().map(|line| flowed(line, ["", ""], width, LongWords::Break));
    lines.collect::<Vec<_>>().join("\n")
}

/// The same for a text with paths: a word that is longer than a line stays whole, so that it can be
/// copied.
pub(crate) fn wrapped_with_paths(text: &str, width: usize) -> String {
    let lines = text.lines().map(|line| flowed(line, ["", ""], width, LongWords::Keep));
    lines.collect::<Vec<_>>().join("\n")
}

/// A message in lines of at most `width` characters, of which all but the first are indented. Paths
/// stay whole.
pub(crate) fn message(text: &str, width: usize) -> String {
    let lines = text.lines().map(|line| flowed(line, ["", "  "], width, LongWords::Keep));
    lines.collect::<Vec<_>>().join("\n")
}

/// A text behind a `lead`, such as a name; its further lines stand below its first.
pub(crate) fn hanging(lead: &str, text: &str, width: usize) -> String {
    let indent = " ".repeat(length(lead));
    flowed(text, [lead, &indent], width, LongWords::Keep)
}

/// Rows of fields as CSV (RFC 4180), a line each.
pub(crate) fn csv<'a>(rows: impl IntoIterator<Item = &'a Vec<String>>) -> String {
    let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
    for row in rows {
        // Writing to memory does not fail.
        let _ = writer.write_record(row);
    }
    String::from_utf8(writer.into_inner().unwrap_or_default()).unwrap_or_default()
}

/// What becomes of a word that is longer than a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LongWords {
    Break,
    Keep,
}

/// Words in lines; the first line begins with the first lead, all others with the second.
fn flowed(text: &str, [first, further]: [&str; 2], width: usize, long: LongWords) -> String {
    let room = width.saturating_sub(length(further).max(length(first))).max(1);
    // A number keeps its percent sign.
    let text = text.replace(" %", "\u{a0}%");
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ').flat_map(|word| pieces(word, room, long)) {
        match lines.last_mut() {
            Some(line) if length(line) + 1 + length(&word) <= room => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    let text = format!("{first}{}", lines.join(&format!("\n{further}")));
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n").replace('\u{a0}', " ")
}

/// A word, or what a line holds of it each time.
fn pieces(word: &str, room: usize, long: LongWords) -> Vec<String> {
    if long == LongWords::Keep || length(word) <= room {
        return vec![word.to_owned()];
    }
    let letters: Vec<char> = word.chars().collect();
    letters.chunks(room).map(|piece| piece.iter().collect()).collect()
}

fn length(text: &str) -> usize {
    text.chars().count()
}

/// Whether all lines of a text are within a width.
fn fits(text: &str, width: usize) -> bool {
    text.lines().all(|line| length(line) <= width)
}

/// A table that takes the first of these shapes that fits:
///
/// 1. a row for each entry;
/// 2. the same with deviations, and then also brackets, below the numbers that they belong to;
/// 3. the same with the names in the first column broken into lines;
/// 4. several tables below one another, each with some of the columns and the names again;
/// 5. a block of lines for each entry, a line for each column.
///
/// Of the last two it is the one with fewer lines.
#[derive(Debug, Clone, Default)]
pub(crate) struct Grid {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

#[derive(Debug, Clone)]
struct Column {
    /// Broken where a line ends in it.
    head: String,
    /// What the column is called where it is a line.
    name: String,
    is_right: bool,
}

impl Grid {
    /// A table without columns.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The same with a further column of words. Its head is broken where a line ends in it.
    pub(crate) fn words(self, head: impl Into<String>) -> Self {
        self.column(head.into(), false)
    }

    /// The same with a further column of numbers, which stand at its right.
    pub(crate) fn numbers(self, head: impl Into<String>) -> Self {
        self.column(head.into(), true)
    }

    /// The same with another name for the last column where it is a line of a block.
    pub(crate) fn called(mut self, name: impl Into<String>) -> Self {
        if let Some(column) = self.columns.last_mut() {
            column.name = name.into();
        }
        self
    }

    fn column(mut self, head: String, is_right: bool) -> Self {
        let name = head.replace('\n', " ");
        self.columns.push(Column { head, name, is_right });
        self
    }

    /// Adds an entry: a cell for each column. A cell is broken where a line ends in it.
    pub(crate) fn push(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The table in lines of at most `width` characters.
    pub(crate) fn within(&self, width: usize) -> String {
        self.in_one(width).unwrap_or_else(|| {
            let blocks = self.blocks(width);
            let lines = |text: &str| text.lines().count();
            self.in_parts(width).filter(|parts| lines(parts) < lines(&blocks)).unwrap_or(blocks)
        })
    }

    /// The table in one of the first three shapes; `None` where none fits.
    pub(crate) fn in_one(&self, width: usize) -> Option<String> {
        let all: Vec<usize> = (0..self.columns.len()).collect();
        let shapes = [Cells::Whole, Cells::Deviations].map(|cells| self.table(&all, cells, None));
        let wide = shapes.into_iter().find(|table| fits(table, width));
        wide.or_else(|| self.narrowed(&all, width))
    }

    /// Some of the columns as a table.
    fn table(&self, columns: &[usize], cells: Cells, first: Option<usize>) -> String {
        let cell = |place: usize, text: &str| {
            let text = match (place, first) {
                (0, None) => text.to_owned(),
                (0, Some(room)) => wrapped(text, room),
                _ => cells.shaped(text),
            };
            let is_right = self.columns[place].is_right;
            let side = if is_right { CellAlignment::Right } else { CellAlignment::Left };
            Cell::new(text).set_alignment(side)
        };
        let mut table = Table::new();
        table.load_style(presets::UTF8_HORIZONTAL_ONLY);
        table.set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(columns.iter().map(|&place| cell(place, &self.columns[place].head)));
        let mut rows = Vec::new();
        for row in &self.rows {
            let texts = columns.iter().map(|&place| cell(place, row.get(place).map_or("", |t| t)));
            rows.push(texts.collect::<Vec<Cell>>());
        }
        let is_flat = rows.iter().flatten().all(|cell| !cell.content().contains('\n'));
        if is_flat {
            // Rows of one line each need no rules between them.
            table.style_mut().row_separator = comfy_table::LineStyle::none();
        }
        table.add_rows(rows);
        table.trim_fmt()
    }

    /// A table whose first column is as narrow as it must be; `None` where that is too narrow.
    fn narrowed(&self, columns: &[usize], width: usize) -> Option<String> {
        let natural = self.table(columns, Cells::Brackets, None);
        if fits(&natural, width) {
            return Some(natural);
        }
        let firsts = || {
            let head = self.columns.first().map(|column| column.head.as_str());
            head.into_iter().chain(self.rows.iter().filter_map(|row| Some(row.first()?.as_str())))
        };
        let longest = |text: &str| text.split([' ', '\n']).map(length).max().unwrap_or(0);
        let least = firsts().map(longest).max()?.max(LEAST_FIRST);
        let most = firsts().flat_map(str::lines).map(length).max()?;
        let mut rooms = (least..most).rev();
        rooms.find_map(|room| {
            let table = self.table(columns, Cells::Brackets, Some(room));
            fits(&table, width).then_some(table)
        })
    }

    /// Several tables, each with as many of the columns as fit; `None` where one fits in none.
    fn in_parts(&self, width: usize) -> Option<String> {
        let mut tables = Vec::new();
        let mut next = 1;
        while next < self.columns.len() {
            let part = |end: usize| std::iter::once(0).chain(next..end).collect::<Vec<_>>();
            let mut ends = (next + 1..=self.columns.len()).rev();
            let fitting = ends.find_map(|end| Some((end, self.narrowed(&part(end), width)?)));
            let (end, table) = fitting?;
            tables.push(table);
            next = end;
        }
        Some(tables.join("\n\n"))
    }

    /// A block of lines for each entry.
    fn blocks(&self, width: usize) -> String {
        let rule = "─".repeat(width.min(WIDTH));
        let mut lines = vec![rule.clone()];
        for row in &self.rows {
            let mut cells = row.iter();
            let title = cells.next().map_or("", |title| title.as_str());
            lines.push(wrapped(&title.replace('\n', " "), width));
            for (column, cell) in self.columns.iter().skip(1).zip(cells) {
                if !cell.is_empty() {
                    let cell = cell.replace("\n± ", " ± ").replace('\n', ", ");
                    lines.push(wrapped(&format!("  {}: {cell}", column.name), width));
                }
            }
            lines.push(rule.clone());
        }
        lines.join("\n")
    }
}

/// Before what numbers are broken.
#[derive(Debug, Clone, Copy)]
enum Cells {
    /// Nothing.
    Whole,
    /// Their deviations.
    Deviations,
    /// Their deviations, and whatever is in brackets.
    Brackets,
}

impl Cells {
    fn shaped(self, text: &str) -> String {
        match self {
            Self::Whole => text.to_owned(),
            Self::Deviations => text.replace(" ± ", "\n± "),
            Self::Brackets => text.replace(" ± ", "\n± ").replace(" (", "\n("),
        }
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn grid(names: [&str; 2]) -> Grid {
        let mut grid = Grid::new()
            .words("algorithm")
            .numbers("time\nper step")
            .numbers("passes")
            .numbers("memory kept\nbetween steps")
            .called("memory");
        for (name, factor) in names.into_iter().zip([1.0, 2.0]) {
            let time = format!("{:.1} ± {:.1}", 12.5 * factor, 0.5 * factor);
            grid.push([name.to_owned(), time, format!("{factor:.2}"), format!("+{factor:.1}")]);
        }
        grid
    }

    #[test]
    fn a_table_takes_the_first_shape_that_fits() {
        assert_snapshot!(grid(["SGD", "SAM"]).within(80), @r"
        ─────────────────────────────────────────────────
         algorithm         time   passes     memory kept
                       per step            between steps
        ═════════════════════════════════════════════════
         SGD         12.5 ± 0.5     1.00            +1.0
         SAM         25.0 ± 1.0     2.00            +2.0
        ─────────────────────────────────────────────────
        ");
        assert_snapshot!(grid(["SGD", "SAM"]).within(50), @r"
        ─────────────────────────────────────────────────
         algorithm         time   passes     memory kept
                       per step            between steps
        ═════════════════════════════════════════════════
         SGD         12.5 ± 0.5     1.00            +1.0
         SAM         25.0 ± 1.0     2.00            +2.0
        ─────────────────────────────────────────────────
        ");
        assert_snapshot!(grid(["SGD with momentum", "periodic SAM"]).within(54), @r"
        ──────────────────────────────────────────────────
         algorithm          time   passes     memory kept
                        per step            between steps
        ══════════════════════════════════════════════════
         SGD with           12.5     1.00            +1.0
         momentum          ± 0.5
        ──────────────────────────────────────────────────
         periodic SAM       25.0     2.00            +2.0
                           ± 1.0
        ──────────────────────────────────────────────────
        ");
        assert_snapshot!(grid(["SGD", "SAM"]).within(40), @r"
        ────────────────────────────────────────
        SGD
          time per step: 12.5 ± 0.5
          passes: 1.00
          memory: +1.0
        ────────────────────────────────────────
        SAM
          time per step: 25.0 ± 1.0
          passes: 2.00
          memory: +2.0
        ────────────────────────────────────────
        ");
        assert_snapshot!(grid(["SGD with momentum and-a-word-that-is-long", "SAM"]).within(40), @r"
        ────────────────────────────────────────
        SGD with momentum
        and-a-word-that-is-long
          time per step: 12.5 ± 0.5
          passes: 1.00
          memory: +1.0
        ────────────────────────────────────────
        SAM
          time per step: 25.0 ± 1.0
          passes: 2.00
          memory: +2.0
        ────────────────────────────────────────
        ");
    }

    #[test]
    fn whatever_the_width_no_line_is_longer() {
        for width in LEAST..160 {
            for names in [["SGD", "SAM"], ["periodic SAM k=3 rho=0.05", "x"]] {
                let table = grid(names).within(width);
                assert!(fits(&table, width), "{width}:\n{table}");
            }
            let long = "x".repeat(200);
            assert!(fits(&grid(["SGD", &long]).within(width), width));
            assert!(fits(&wrapped(&format!("  a {long} and more"), width), width));
        }
    }

    #[test]
    fn sentences_break_between_words() {
        let text = "a sentence of several words\n  another";
        assert_eq!(wrapped(text, 12), "a sentence\nof several\nwords\n  another");
        assert_eq!(wrapped("abcdef gh", 4), "abcd\nef\ngh");
        assert_eq!(
            wrapped_with_paths("it is in /a/long/path now", 8),
            "it is in\n/a/long/path\nnow"
        );
        assert_eq!(hanging("  sam  ", "some words here", 18), "  sam  some words\n       here");
        assert_eq!(wrapped("about 95 % of", 8), "about\n95 % of");
        assert_eq!(wrapped("", 10), "");
    }
}
