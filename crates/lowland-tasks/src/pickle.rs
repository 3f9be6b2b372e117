//! Pickles, read without running them.
//!
//! A pickle is a program for a stack machine that may call any function of Python. Nothing is
//! called here: calls stay what they are, and whoever reads a file recognises those that it knows
//! by name. Values lie in one list and name one another by place, so that a file makes no more of
//! them than it has instructions.

use std::collections::HashMap;
use std::ops::Range;

/// A value, made of others by their places.
#[derive(Debug)]
pub(crate) enum Value {
    Nothing,
    Number(i64),
    /// Bytes, or text in UTF-8, by their place in the file.
    Bytes(Range<usize>),
    Text(Range<usize>),
    /// A list or tuple.
    List(Vec<usize>),
    Dictionary(Vec<usize>),
    /// A function or class: its module and name.
    Global(String),
    /// What a call would give, with what is built into it afterwards.
    Call {
        function: usize,
        arguments: usize,
        state: Option<usize>,
    },
    /// What lies outside the pickle, by what it is called there: storages of PyTorch.
    Outside(usize),
}

/// The machine, and all values that it made.
#[derive(Debug)]
pub(crate) struct Machine<'a> {
    file: &'a [u8],
    at: usize,
    values: Vec<Value>,
    /// Places of values; `None` is a mark.
    stack: Vec<Option<usize>>,
    memo: HashMap<usize, usize>,
}

impl<'a> Machine<'a> {
    /// A machine at the start of a file.
    pub(crate) fn new(file: &'a [u8]) -> Self {
        Self { file, at: 0, values: vec![], stack: vec![], memo: HashMap::new() }
    }

    /// The same at a later place.
    pub(crate) fn at(file: &'a [u8], at: usize) -> Self {
        Self { at, ..Self::new(file) }
    }

    /// The place in the file behind all that was read.
    pub(crate) fn place_in_file(&self) -> usize {
        self.at
    }

    /// A value by its place.
    pub(crate) fn value(&self, place: usize) -> Option<&Value> {
        self.values.get(place)
    }

    /// All values.
    pub(crate) fn values(&self) -> &[Value] {
        &self.values
    }

    /// Runs a pickle to its end, and gives the value that is there; the next one begins behind it.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub(crate) fn run(&mut self) -> Result<usize, String> {
        self.stack.clear();
        self.memo.clear();
        loop {
            let start = self.at;
            let instruction = self.take(1)?.start;
            let instruction = self.file[instruction];
            if instruction == b'.' {
                return self.pop();
            }
            self.step(instruction).map_err(|error| format!("{error} at byte {start}"))?;
        }
    }

    #[expect(clippy::too_many_lines, reason = "an arm an instruction")]
    fn step(&mut self, instruction: u8) -> Result<(), String> {
        match instruction {
            0x80 => {
                self.take(1)?;
            }
            0x95 => {
                self.take(8)?;
            }
            b'(' => self.stack.push(None),
            b'G' => {
                self.take(8)?;
                self.push(Value::Nothing);
            }
            0x8a | 0x8b => {
                let length = self.place(if instruction == 0x8a { 1 } else { 4 })?;
                let bytes = self.take(length)?;
                // Longer ones are no number that is looked at.
                let number = if length <= 7 { unsigned(&self.file[bytes]) } else { None };
                self.push(number.map_or(Value::Nothing, Value::Number));
            }
            b'Q' => {
                let name = self.pop()?;
                self.push(Value::Outside(name));
            }
            b'0' => drop(self.stack.pop()),
            b'N' => self.push(Value::Nothing),
            0x88 => self.push(Value::Number(1)),
            0x89 => self.push(Value::Number(0)),
            b'K' | b'M' | b'J' => {
                let length = match instruction {
                    b'K' => 1,
                    b'M' => 2,
                    _ => 4,
                };
                let number = self.number(length)?;
                // Four bytes have a sign.
                let wrapped =
                    if length == 4 && number >= 1 << 31 { number - (1 << 32) } else { number };
                self.push(Value::Number(wrapped));
            }
            b'I' | b'L' => {
                let line = self.line()?;
                let number = line.trim_end_matches('L').parse().map_err(|_| format!("{line:?}"))?;
                self.push(Value::Number(number));
            }
            b'U' | b'C' | b'T' | b'B' | 0x8e => {
                let bytes = self.counted(match instruction {
                    b'U' | b'C' => 1,
                    0x8e => 8,
                    _ => 4,
                })?;
                self.push(Value::Bytes(bytes));
            }
            0x8c | b'X' | 0x8d => {
                let text = self.counted(match instruction {
                    0x8c => 1,
                    b'X' => 4,
                    _ => 8,
                })?;
                self.push(Value::Text(text));
            }
            b']' | b')' => self.push(Value::List(vec![])),
            b'}' => self.push(Value::Dictionary(vec![])),
            b'l' | b't' => {
                let items = self.back_to_mark()?;
                self.push(Value::List(items));
            }
            b'd' => {
                let items = self.back_to_mark()?;
                self.push(Value::Dictionary(items));
            }
            0x85..=0x87 => {
                let mut items = Vec::new();
                for _ in 0x84..instruction {
                    items.push(self.pop()?);
                }
                items.reverse();
                self.push(Value::List(items));
            }
            b'a' => {
                let item = self.pop()?;
                self.extend(vec![item])?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.extend(vec![key, value])?;
            }
            b'e' | b'u' => {
                let items = self.back_to_mark()?;
                self.extend(items)?;
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Value::Global(format!("{module}.{name}")));
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let word =
                    |place| self.text(place).map(str::to_owned).ok_or("a name that is no text");
                let global = format!("{}.{}", word(module)?, word(name)?);
                self.push(Value::Global(global));
            }
            b'R' | 0x81 => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                let is_dictionary = matches!(
                    &self.values[function],
                    Value::Global(name) if name == "collections.OrderedDict"
                );
                let is_empty = self.list(arguments).is_some_and(<[usize]>::is_empty);
                self.push(if is_dictionary && is_empty {
                    Value::Dictionary(vec![])
                } else {
                    Value::Call { function, arguments, state: None }
                });
            }
            b'b' => {
                let built = self.pop()?;
                let object = self.top()?;
                if let Value::Call { state, .. } = &mut self.values[object] {
                    *state = Some(built);
                }
            }
            b'q' | b'r' | b'p' | 0x94 => {
                let place = match instruction {
                    b'p' => self.line()?.parse().map_err(|_| "a memo without a number")?,
                    0x94 => self.memo.len(),
                    _ => self.place(if instruction == b'q' { 1 } else { 4 })?,
                };
                let top = self.top()?;
                self.memo.insert(place, top);
            }
            b'h' | b'j' | b'g' => {
                let place = match instruction {
                    b'g' => self.line()?.parse().map_err(|_| "a memo without a number")?,
                    _ => self.place(if instruction == b'h' { 1 } else { 4 })?,
                };
                let value = *self.memo.get(&place).ok_or("a memo that is empty")?;
                self.stack.push(Some(value));
            }
            other => return Err(format!("instruction {other:#04x}")),
        }
        Ok(())
    }

    fn push(&mut self, value: Value) {
        self.stack.push(Some(self.values.len()));
        self.values.push(value);
    }

    fn pop(&mut self) -> Result<usize, String> {
        self.stack.pop().flatten().ok_or_else(|| "an empty stack".to_owned())
    }

    fn top(&self) -> Result<usize, String> {
        self.stack.last().copied().flatten().ok_or_else(|| "an empty stack".to_owned())
    }

    /// What lies above the last mark, which goes too.
    fn back_to_mark(&mut self) -> Result<Vec<usize>, String> {
        let mark = self.stack.iter().rposition(Option::is_none).ok_or("no mark")?;
        let items = self.stack.drain(mark..).flatten().collect();
        Ok(items)
    }

    /// Adds to the list or dictionary on the stack.
    fn extend(&mut self, items: Vec<usize>) -> Result<(), String> {
        let top = self.top()?;
        match &mut self.values[top] {
            Value::List(list) | Value::Dictionary(list) => list.extend(items),
            _ => return Err("items for something that holds none".to_owned()),
        }
        Ok(())
    }

    fn take(&mut self, length: usize) -> Result<Range<usize>, String> {
        let end = self.at.checked_add(length).filter(|&end| end <= self.file.len());
        let end = end.ok_or("a file that ends early")?;
        let taken = self.at..end;
        self.at = end;
        Ok(taken)
    }

    /// An unsigned number of up to 8 bytes, the lowest first.
    fn number(&mut self, length: usize) -> Result<i64, String> {
        let bytes = self.take(length)?;
        unsigned(&self.file[bytes]).ok_or_else(|| "a number that is too large".to_owned())
    }

    fn place(&mut self, length: usize) -> Result<usize, String> {
        usize::try_from(self.number(length)?).map_err(|_| "a number that is too large".to_owned())
    }

    /// As many bytes as the number before them says.
    fn counted(&mut self, length: usize) -> Result<Range<usize>, String> {
        let count = self.place(length)?;
        self.take(count)
    }

    fn line(&mut self) -> Result<String, String> {
        let rest = &self.file[self.at..];
        let length = rest.iter().position(|&byte| byte == b'\n').ok_or("a file that ends early")?;
        let line = self.take(length + 1)?;
        let line = &self.file[line.start..line.end - 1];
        String::from_utf8(line.to_vec()).map_err(|_| "a line that is no text".to_owned())
    }

    /// A text, or bytes that are one; Python 3 writes bytes as a call that encodes a text where the
    /// form is an old one.
    pub(crate) fn text(&self, place: usize) -> Option<&str> {
        let place = match self.call(place, "_codecs.encode") {
            Some((arguments, _)) => *arguments.first()?,
            None => place,
        };
        match self.values.get(place)? {
            Value::Bytes(range) | Value::Text(range) => {
                std::str::from_utf8(&self.file[range.clone()]).ok()
            }
            _ => None,
        }
    }

    /// The value of a key of a dictionary.
    pub(crate) fn entry(&self, dictionary: usize, key: &str) -> Option<usize> {
        self.entries(dictionary)
            .find(|(found, _)| self.text(*found) == Some(key))
            .map(|pair| pair.1)
    }

    /// The keys and values of a dictionary; none of another value.
    pub(crate) fn entries(&self, dictionary: usize) -> impl Iterator<Item = (usize, usize)> {
        let entries = match self.values.get(dictionary) {
            Some(Value::Dictionary(entries)) => entries.as_slice(),
            _ => &[],
        };
        entries.chunks_exact(2).map(|pair| (pair[0], pair[1]))
    }

    /// What a list or tuple holds.
    pub(crate) fn list(&self, place: usize) -> Option<&[usize]> {
        match &self.values[place] {
            Value::List(list) => Some(list),
            _ => None,
        }
    }

    /// A number that is not negative.
    pub(crate) fn size(&self, place: usize) -> Option<usize> {
        match self.value(place)? {
            Value::Number(number) => usize::try_from(*number).ok(),
            _ => None,
        }
    }

    /// Bytes that are no text.
    pub(crate) fn bytes(&self, place: usize) -> Option<&'a [u8]> {
        match self.value(place)? {
            Value::Bytes(range) => Some(&self.file[range.clone()]),
            _ => None,
        }
    }

    /// The name of a function or class, with that of its module before it.
    pub(crate) fn global(&self, place: usize) -> Option<&str> {
        match self.value(place)? {
            Value::Global(name) => Some(name),
            _ => None,
        }
    }

    /// The arguments of a call to a function whose name ends like this, and what is built into it.
    pub(crate) fn call(&self, place: usize, name: &str) -> Option<(&[usize], Option<usize>)> {
        let Value::Call { function, arguments, state } = self.values.get(place)? else {
            return None;
        };
        self.global(*function)?.ends_with(name).then_some(())?;
        Some((self.list(*arguments)?, *state))
    }
}

/// A number of up to 8 bytes without a sign, the lowest byte first.
fn unsigned(bytes: &[u8]) -> Option<i64> {
    let number = bytes.iter().rev().fold(0_u64, |sum, &byte| sum << 8 | u64::from(byte));
    i64::try_from(number).ok()
}
