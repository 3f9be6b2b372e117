//! Commands that the documentation prints are commands that the program takes: with flags that
//! exist, and names and settings that are known. Settings files that a page shows are read too.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::FromArgMatches;
use clap::error::ErrorKind;
use tempfile::TempDir;

use crate::settings::SettingFlags;
use crate::{Arguments, Command, command_line};

/// Words that stand for something of the reader's, with an example of it.
const PLACEHOLDERS: [(&str, &str); 9] = [
    ("N", "8"),
    ("R", "2"),
    ("BITS", "4"),
    ("EPOCHS", "3"),
    ("SHARE", "0.2"),
    ("URL", "http://localhost"),
    ("NAME", "small-cnn"),
    ("SHELL", "bash"),
    ("KEY=VALUE", "seed=1"),
];

/// Flags in the text that are none of `lowland`.
const OTHERS: [&str; 7] =
    ["gpus-per-node", "gpus-per-task", "features", "path", "git", "help", "version"];

/// A command in a page.
#[derive(Debug, PartialEq)]
struct Printed {
    /// The line of the page, from 1.
    line: usize,
    words: Vec<String>,
    /// Whether it is a command to be typed, and not one that the text mentions.
    is_whole: bool,
}

/// A block of code or a stretch of text between two of them, with the line where it begins.
#[derive(Debug)]
struct Piece<'a> {
    line: usize,
    /// The language of a block of code; `None` for text.
    language: Option<&'a str>,
    text: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All Markdown files of the repository but for the changelog, whose commands may be those of
/// another version. `None` in the package alone, which has no book beside it.
fn pages() -> Option<Vec<PathBuf>> {
    if !root().join("docs/book.toml").exists() {
        eprintln!("not in the repository: no pages are read");
        return None;
    }
    let mut pages = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !name.starts_with('.') && name != "target" {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|ending| ending == "md")
                && name != "CHANGELOG.md"
            {
                pages.push(path);
            }
        }
    }
    pages.sort();
    Some(pages)
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = vec![Piece { line: 1, language: None, text: String::new() }];
    for (line, content) in (1..).zip(text.lines()) {
        let open = pieces.last_mut().unwrap();
        match (content.trim_start().strip_prefix("```"), open.language) {
            (Some(language), None) => {
                pieces.push(Piece { line, language: Some(language), text: String::new() });
            }
            (Some(_), Some(_)) => {
                pieces.push(Piece { line: line + 1, language: None, text: String::new() });
            }
            (None, _) => {
                open.text.push_str(content);
                open.text.push('\n');
            }
        }
    }
    pieces
}

/// The code between ticks in a text, with the lines where it begins, counted from 0.
fn spans(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut line = 0;
    for (place, part) in text.split('`').enumerate() {
        if place % 2 == 1 {
            found.push((line, part.split_whitespace().collect::<Vec<_>>().join(" ")));
        }
        line += part.matches('\n').count();
    }
    found
}

/// The words of a command from `lowland` on, or from what it runs of the examples.
fn command(words: &[String]) -> Option<Vec<String>> {
    let word = |name: &str| words.iter().position(|word| word == name);
    let is_cargo = words.first().is_some_and(|word| word == "cargo");
    let begin = match (is_cargo, word("--example"), word("--")) {
        (false, ..) => word("lowland")?,
        (true, Some(example), Some(end)) if words[example + 1] == "own-task" => end,
        _ => return None,
    };
    let example = |word: &String| {
        // What may be repeated, and what stands for more.
        let word = word.trim_end_matches('…');
        let known = PLACEHOLDERS.iter().find(|(placeholder, _)| *placeholder == word);
        known.map_or(word, |&(_, example)| example).to_owned()
    };
    let rest = words[begin + 1..].iter().map(example).filter(|word| !word.is_empty());
    let name = if is_cargo { "own-task" } else { "lowland" };
    let mut all: Vec<String> = std::iter::once(name.to_owned()).chain(rest).collect();
    let is_fetch = all.len() > 3 && all[1] == "data" && all[3] == "small-cnn";
    if is_fetch {
        all[3] = "cifar10".to_owned();
    }
    Some(all)
}

/// The commands of a page in their order, with the line of each.
fn commands(text: &str) -> Vec<Printed> {
    let pieces = pieces(text);
    let of = |piece: &Piece<'_>| match piece.language {
        Some("sh") => typed(piece),
        Some(_) => Vec::new(),
        None => mentioned(piece),
    };
    pieces.iter().flat_map(of).collect()
}

/// The commands of a block of code.
fn typed(block: &Piece<'_>) -> Vec<Printed> {
    let mut found = Vec::new();
    let mut line = block.line + 1;
    // A command goes over several lines where they end in a backslash.
    for typed in block.text.replace("\\\n", "\u{1}").lines() {
        let words = shlex::split(&typed.replace('\u{1}', " ")).unwrap_or_default();
        let words = command(&words);
        found.extend(words.map(|words| Printed { line, words, is_whole: true }));
        line += 1 + typed.matches('\u{1}').count();
    }
    found
}

/// The commands between ticks in a text.
fn mentioned(text: &Piece<'_>) -> Vec<Printed> {
    let read = |(below, span): (usize, String)| {
        let words = shlex::split(&span).filter(|words| words.len() > 1 && words[0] == "lowland")?;
        Some(Printed { line: text.line + below, words: command(&words)?, is_whole: false })
    };
    spans(&text.text).into_iter().filter_map(read).collect()
}

/// The files of settings that a page shows: a block of TOML with the name that the text before it
/// gives last.
fn settings_files(text: &str) -> BTreeMap<String, String> {
    let pieces = pieces(text);
    let shown = pieces.windows(2).filter(|pair| pair[1].language == Some("toml"));
    let named = |pair: &[Piece<'_>]| {
        let spans = spans(&pair[0].text).into_iter().rev();
        let is_toml = |span: &String| Path::new(span).extension().is_some_and(|of| of == "toml");
        let name = spans.map(|(_, span)| span).find(is_toml)?;
        Some((name, pair[1].text.clone()))
    };
    shown.filter_map(named).collect()
}

/// Where the commands of a page work: the files that it shows, and the folders of the runs before.
struct Place {
    folder: TempDir,
}

impl Place {
    fn of(page: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in settings_files(page) {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        Self { folder }
    }

    /// The command with the path of its settings file as it is here.
    fn located(&self, words: &[String]) -> Vec<String> {
        let mut words = words.to_vec();
        if let Some(config) = words.iter().position(|word| word == "--config")
            && let Some(path) = words.get_mut(config + 1)
        {
            let here = self.folder.path().join(&*path);
            let found = if here.exists() { here } else { root().join(&*path) };
            *path = found.display().to_string();
        }
        words
    }

    /// Reads a command as the program does, as far as that needs no data.
    fn read(&self, printed: &Printed) -> Result<(), String> {
        let own = printed.words.first().filter(|name| *name != "lowland");
        let mut line = command_line(own.map(String::as_str));
        let read = line
            .try_get_matches_from_mut(self.located(&printed.words))
            .and_then(|found| Arguments::from_arg_matches(&found));
        let arguments = match read {
            Ok(arguments) => arguments,
            Err(error) if error.kind() == ErrorKind::DisplayHelp => return Ok(()),
            Err(error) if !printed.is_whole && is_incomplete(&error) => return Ok(()),
            Err(error) => return Err(error.to_string()),
        };
        let problem = |error: anyhow::Error| format!("{error:#}");
        match arguments.command {
            Some(Command::Train(train)) => {
                let spec = train.spec().map_err(problem)?;
                if let Some(out) = printed.words.iter().position(|word| word == "--out") {
                    let run = self.folder.path().join(&printed.words[out + 1]);
                    std::fs::create_dir_all(&run).unwrap();
                    let text = toml::to_string(spec.config()).unwrap();
                    std::fs::write(run.join("config.toml"), text).unwrap();
                }
                Ok(())
            }
            Some(Command::Compare(compare)) => compare.request().map(drop).map_err(problem),
            Some(Command::Tune(tune)) if printed.is_whole => {
                tune.request().map(drop).map_err(problem)
            }
            Some(Command::Bench(bench)) => bench.check().map(drop).map_err(problem),
            _ => Ok(()),
        }
    }
}

/// Whether a command that the text mentions lacks only what it needs to be run.
fn is_incomplete(error: &clap::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::MissingRequiredArgument
            | ErrorKind::MissingSubcommand
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    )
}

/// Whether some command takes the flags of a text such as `--budget 1.2`.
fn is_taken(flags: &str) -> bool {
    let words = shlex::split(flags).unwrap_or_default();
    let lines = std::iter::once(vec![]).chain(subcommands());
    let mut all = lines.map(|line| {
        let words = ["lowland".to_owned()].into_iter().chain(line).chain(words.iter().cloned());
        command(&words.collect::<Vec<_>>()).unwrap_or_default()
    });
    all.any(|words| match command_line(None).try_get_matches_from(words) {
        Ok(_) => true,
        // The flag alone, without its value.
        Err(error) if error.kind() == ErrorKind::InvalidValue => {
            error.to_string().contains("none was supplied")
        }
        Err(error) => is_incomplete(&error),
    })
}

/// The names of all commands, those of `data` with it.
fn subcommands() -> Vec<Vec<String>> {
    let mut names = Vec::new();
    for command in command_line(None).get_subcommands() {
        let name = command.get_name().to_owned();
        let example =
            |sub: &clap::Command| vec![name.clone(), sub.get_name().to_owned(), "cifar10".into()];
        names.extend(command.get_subcommands().map(example));
        names.push(vec![name]);
    }
    names
}

/// Asserts that nothing is wrong on any page: `check` looks at a page's text, adds the lines of
/// what is wrong there, and returns how many `things` it found.
fn assert_on_every_page(things: &str, check: impl Fn(&str, &mut Vec<(usize, String)>) -> usize) {
    let Some(pages) = pages() else { return };
    let mut all = Vec::new();
    let mut seen = 0;
    for page in pages {
        let mut wrong = Vec::new();
        seen += check(&std::fs::read_to_string(&page).unwrap(), &mut wrong);
        all.extend(wrong.iter().map(|(line, why)| format!("{}:{line}: {why}", page.display())));
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
    assert!(seen > 80, "only {seen} {things} were found");
}

#[test]
fn printed_commands_are_taken() {
    assert_on_every_page("commands", |text, wrong| {
        let place = Place::of(text);
        let commands = commands(text);
        for printed in &commands {
            if let Err(error) = place.read(printed) {
                wrong.push((printed.line, format!("{}\n  {error}", printed.words.join(" "))));
            }
        }
        commands.len()
    });
}

#[test]
fn mentioned_flags_and_algorithms_are_known() {
    assert_on_every_page("flags and algorithms", |text, wrong| {
        let mut seen = 0;
        for piece in pieces(text).iter().filter(|piece| piece.language.is_none()) {
            for (below, span) in spans(&piece.text) {
                let Some(known) = is_known(&span) else { continue };
                seen += 1;
                if let Err(why) = known {
                    wrong.push((piece.line + below, format!("{span}: {why}")));
                }
            }
        }
        seen
    });
}

/// Whether a flag or an algorithm with settings is known; `None` for all other code.
fn is_known(span: &str) -> Option<Result<(), String>> {
    if let Some(flag) = span.strip_prefix("--") {
        let name = flag.split([' ', '=']).next().unwrap_or_default();
        let is_known = OTHERS.contains(&name) || is_taken(span);
        return Some(if is_known { Ok(()) } else { Err("no command takes it".to_owned()) });
    }
    let algorithms: Vec<&str> = span.split(',').filter(|part| is_algorithm(part)).collect();
    let flags = SettingFlags::default();
    let error = algorithms.iter().find_map(|name| flags.resolve_among(name).err());
    let known = error.map_or(Ok(()), |error| Err(error.to_string()));
    (!algorithms.is_empty()).then_some(known)
}

/// Whether a text is an algorithm with settings, such as `arsam:budget=1.2`.
fn is_algorithm(span: &str) -> bool {
    let name = span.split_once(':').filter(|(_, rest)| rest.contains('='));
    name.is_some_and(|(name, _)| lowland::Algorithm::named(name).is_some())
}

#[test]
fn planted_commands_are_read() {
    let page = "With `lowland train` and `lowland\nfly`, and this in `a.toml`:\n```toml\nepochs = 2\n\
                ```\n```sh\nX=1 mpirun -n 2 lowland train --mpi \\\n  --out DIR # text\nls\nlowland \
                train --config a.toml --out b\nlowland train --config b/config.toml --out c\ncargo run \
                --example own-task -- train --seed N --out d\nlowland train --out e --epoch 3\nlowland \
                train --out e --algorithm sma\n```\n";
    let found = commands(page);
    let lines: Vec<usize> = found.iter().map(|printed| printed.line).collect();
    assert_eq!(lines, [1, 1, 7, 10, 11, 12, 13, 14]);
    assert_eq!(found[2].words, ["lowland", "train", "--mpi", "--out", "DIR"]);
    assert_eq!(found[5].words, ["own-task", "train", "--seed", "8", "--out", "d"]);
    let place = Place::of(page);
    let read: Vec<bool> = found.iter().map(|printed| place.read(printed).is_ok()).collect();
    assert_eq!(read, [true, false, true, true, true, true, false, false]);
}

#[test]
fn planted_flags_are_checked() {
    for flags in ["--budget 1.2", "--budget", "--mirror URL", "--points 5", "--keep nothing"] {
        assert!(is_taken(flags), "{flags}");
    }
    for flags in ["--budgets", "--points five", "--keep much"] {
        assert!(!is_taken(flags), "{flags}");
    }
    assert!(is_algorithm("arsam:budget=1.2") && !is_algorithm("arsam") && !is_algorithm("a:b=1"));
}
