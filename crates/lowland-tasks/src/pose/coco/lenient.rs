//! The JSON of a keypoint file as a tree of the fields that are read, whatever their types.
//!
//! What an entry should hold is judged afterwards, entry by entry, so that one wrong value does not
//! refuse the file and is named by the entry that it is in.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;

use super::damage::{Mistake, mistake};

/// The fields that are read, on every level; all others are skipped without memory for them.
const FIELDS: [&str; 14] = [
    "annotations",
    "area",
    "bbox",
    "categories",
    "category_id",
    "file_name",
    "height",
    "id",
    "image_id",
    "images",
    "iscrowd",
    "keypoints",
    "skeleton",
    "width",
];

/// Python's `json` writes these words, which JSON does not have.
const NO_NUMBERS: [&str; 3] = ["NaN", "-Infinity", "Infinity"];

/// How many characters of a text a message shows.
const SHOWN: usize = 40;

/// A JSON value.
#[derive(Debug, PartialEq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    Whole(u64),
    /// A negative or fractional number.
    Number(f64),
    Text(Box<str>),
    List(Vec<Json>),
    /// The fields of [`FIELDS`] that are there; of one that comes twice, the last.
    Object(Vec<(&'static str, Json)>),
}

/// Reads the text of a file.
pub(super) fn read(text: &[u8]) -> Result<Json, Mistake> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let error = match serde_json::from_slice(text) {
        Ok(json) => return Ok(json),
        Err(error) => error,
    };
    if let Some(quoted) = with_words_quoted(text)
        && let Ok(json) = serde_json::from_slice(&quoted)
    {
        return Ok(json);
    }
    let (line, column) = (error.line(), error.column());
    let found = match error.classify() {
        Category::Eof if text.trim_ascii().is_empty() => "an empty file".to_owned(),
        Category::Eof => format!("one that ends early, in line {line}"),
        _ => {
            let reason = error.to_string();
            let reason = reason.split(" at line ").next().unwrap_or_default();
            format!("no JSON in line {line}, column {column} ({reason})")
        }
    };
    Err(mistake("COCO keypoints, a JSON object", found))
}

/// The text with the words of [`NO_NUMBERS`] as strings; `None` where there are none.
fn with_words_quoted(text: &[u8]) -> Option<Vec<u8>> {
    let (mut quoted, mut rest) = (Vec::new(), text);
    let mut found = false;
    let mut in_string = false;
    while let [first, after @ ..] = rest {
        if in_string && *first == b'\\' {
            let (escape, after) = rest.split_at(rest.len().min(2));
            quoted.extend(escape);
            rest = after;
            continue;
        }
        in_string ^= *first == b'"';
        let word = NO_NUMBERS.iter().find(|word| !in_string && rest.starts_with(word.as_bytes()));
        if let Some(word) = word {
            found = true;
            quoted.push(b'"');
            quoted.extend(word.as_bytes());
            quoted.push(b'"');
            rest = &rest[word.len()..];
        } else {
            quoted.push(*first);
            rest = after;
        }
    }
    found.then_some(quoted)
}

impl Json {
    /// The value of a field; null where it is not there, or this is no object.
    pub(super) fn get(&self, name: &str) -> &Self {
        let Self::Object(fields) = self else { return &Self::Null };
        fields.iter().find(|(field, _)| *field == name).map_or(&Self::Null, |(_, value)| value)
    }

    /// What this entry of a list is called, for one and for the list: by its id, or by its place.
    pub(super) fn name(&self, [one, list]: [&str; 2], place: usize) -> String {
        match self.whole("id") {
            Ok(id) => format!("{one} {id}"),
            Err(_) => format!("{list}[{place}]"),
        }
    }

    /// Whether there is such a field, null or not.
    pub(super) fn has(&self, name: &str) -> bool {
        matches!(self, Self::Object(fields) if fields.iter().any(|(field, _)| *field == name))
    }

    /// A field that must be a list.
    pub(super) fn list(&self, name: &str) -> Result<&[Self], Mistake> {
        match self.get(name) {
            Self::List(values) => Ok(values),
            _ => Err(self.wrong(name, &format!("a list as {name}"))),
        }
    }

    /// A list of entries; none where the field is null or not there.
    pub(super) fn optional_list(&self, name: &str) -> Result<&[Self], Mistake> {
        if *self.get(name) == Self::Null { Ok(&[]) } else { self.list(name) }
    }

    /// A field that must be a whole number.
    pub(super) fn whole(&self, name: &str) -> Result<u64, Mistake> {
        match self.get(name) {
            Self::Whole(number) => Ok(*number),
            _ => Err(self.wrong(name, &format!("a whole number of at least 0 as {name}"))),
        }
    }

    /// A field that must be a number, if it is there and not null.
    pub(super) fn optional_number(&self, name: &str) -> Result<Option<f64>, Mistake> {
        match self.get(name) {
            Self::Null => Ok(None),
            value => match value.number() {
                Some(number) => Ok(Some(number)),
                None => Err(self.wrong(name, &format!("a number as {name}"))),
            },
        }
    }

    /// A field that must be a list of numbers.
    pub(super) fn numbers(&self, name: &str) -> Result<Vec<f64>, Mistake> {
        let expected = || format!("a list of numbers as {name}");
        let Self::List(values) = self.get(name) else {
            return Err(self.wrong(name, &expected()));
        };
        let number = |(place, value): (usize, &Self)| {
            let wrong = || mistake(&expected(), format!("{value} in place {place}"));
            value.number().ok_or_else(wrong)
        };
        values.iter().enumerate().map(number).collect()
    }

    /// The mistake that a field is.
    pub(super) fn wrong(&self, name: &str, expected: &str) -> Mistake {
        let found = match self {
            Self::Object(_) if !self.has(name) => "none".to_owned(),
            Self::Object(_) => self.get(name).to_string(),
            other => return mistake("an object", other.to_string()),
        };
        mistake(expected, found)
    }

    fn number(&self) -> Option<f64> {
        match self {
            Self::Whole(number) => Some(*number as f64),
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }
}

/// A number for a message of one line, a very large or small one with an exponent.
pub(super) fn in_few_digits(number: f64) -> String {
    let length = number.abs();
    let is_long = length != 0.0 && !(1e-5..1e16).contains(&length);
    if is_long { format!("{number:e}") } else { number.to_string() }
}

/// The value in a few words.
impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Whole(number) => write!(f, "{number}"),
            Self::Number(number) => f.write_str(&in_few_digits(*number)),
            Self::Text(text) if NO_NUMBERS.contains(&&**text) => f.write_str(text),
            Self::Text(text) if text.chars().count() > SHOWN => {
                let start: String = text.chars().take(SHOWN).collect();
                write!(f, "{start:?} and more")
            }
            Self::Text(text) => write!(f, "{text:?}"),
            Self::List(values) => write!(f, "a list of {}", values.len()),
            Self::Object(_) => f.write_str("an object"),
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Tree)
    }
}

struct Tree;

impl<'de> Visitor<'de> for Tree {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json, E> {
        Ok(Json::Whole(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json, E> {
        Ok(u64::try_from(number).map_or(Json::Number(number as f64), Json::Whole))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Json, E> {
        Ok(Json::Number(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(Json::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Json, A::Error> {
        let mut fields: Vec<(&'static str, Json)> = Vec::new();
        while let Some(name) = object.next_key::<Name<'_>>()? {
            let Some(name) = FIELDS.into_iter().find(|field| *field == name.0) else {
                object.next_value::<IgnoredAny>()?;
                continue;
            };
            let value = object.next_value()?;
            match fields.iter_mut().find(|(field, _)| *field == name) {
                Some((_, known)) => *known = value,
                None => fields.push((name, value)),
            }
        }
        Ok(Json::Object(fields))
    }
}

/// The name of a field, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json {
        read(text.as_bytes()).map_err(|mistake| mistake.found).unwrap()
    }

    #[test]
    fn values_keep_their_types_and_unknown_fields_are_skipped() {
        let found =
            json("{\"id\": 3, \"x\": [{\"id\": 1}], \"bbox\": [1, -2, 0.5, null], \"id\": 4}");
        let list = vec![Json::Whole(1), Json::Number(-2.0), Json::Number(0.5), Json::Null];
        assert_eq!(found, Json::Object(vec![("id", Json::Whole(4)), ("bbox", Json::List(list))]));
        assert_eq!(json("\u{feff}[true]"), Json::List(vec![Json::Bool(true)]));
    }

    #[test]
    fn words_of_python_are_no_numbers_and_no_syntax_errors() {
        let found = json(r#"{"bbox": [NaN, -Infinity, Infinity], "file_name": "a\"NaN"}"#);
        let text = |text: &str| Json::Text(text.into());
        assert_eq!(
            found.get("bbox"),
            &Json::List(vec![text("NaN"), text("-Infinity"), text("Infinity")])
        );
        assert_eq!(found.get("file_name"), &text("a\"NaN"));
        assert_eq!(found.numbers("bbox").unwrap_err().found, "NaN in place 0");
    }

    #[test]
    fn what_is_no_json_is_said_in_words() {
        let found = |text: &str| read(text.as_bytes()).unwrap_err().found;
        assert_eq!(found(" \n"), "an empty file");
        assert_eq!(found("{\"id\": 3,\n"), "one that ends early, in line 2");
        assert_eq!(found("{\n\"id\" 3}"), "no JSON in line 2, column 6 (expected `:`)");
    }
}
