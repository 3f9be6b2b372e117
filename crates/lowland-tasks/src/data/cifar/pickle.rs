//! The Python version of CIFAR: pickles of a dictionary with an array of pixels and a list of labels.
//!
//! A pickle is a program for a stack machine that may call any function of Python. Nothing is called
//! here: calls stay what they are, and the two that NumPy writes for an array are recognised by
//! name. Values lie in one list and name one another by place, so that a file makes no more of them
//! than it has instructions.

use std::collections::HashMap;
use std::ops::Range;

/// A value, made of others by their places.
#[derive(Debug)]
enum Value {
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
}

/// A batch of CIFAR: pixels, `[images, 3072]`, and a label each.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) pixels: Vec<u8>,
    pub(super) labels: Vec<i64>,
}

/// Reads a batch. `columns` is how many bytes an image has, and `labels` the name of the labels.
///
/// # Errors
/// What is wrong, in words.
pub(super) fn read(file: &[u8], columns: usize, labels: &str) -> Result<Batch, String> {
    let mut machine = Machine { file, at: 0, values: vec![], stack: vec![], memo: HashMap::new() };
    let top = machine.run()?;
    let data = machine.entry(top, "data").ok_or("no \"data\"")?;
    let list = machine.entry(top, labels).ok_or_else(|| format!("no {labels:?}"))?;
    let Value::List(list) = &machine.values[list] else {
        return Err(format!("{labels:?} that are no list"));
    };
    let label = |&place: &usize| match machine.values[place] {
        Value::Number(label) => Ok(label),
        _ => Err(format!("{labels:?} that are no numbers")),
    };
    let labels = list.iter().map(label).collect::<Result<Vec<i64>, String>>()?;
    let pixels = machine.array(data, columns).ok_or("\"data\" that is no array of bytes")?;
    if pixels.len() != labels.len() * columns {
        return Err(format!("{} bytes of pixels for {} labels", pixels.len(), labels.len()));
    }
    Ok(Batch { pixels, labels })
}

struct Machine<'a> {
    file: &'a [u8],
    at: usize,
    values: Vec<Value>,
    /// Places of values; `None` is a mark.
    stack: Vec<Option<usize>>,
    memo: HashMap<usize, usize>,
}

impl Machine<'_> {
    /// Runs to the end, and gives the value that is there.
    fn run(&mut self) -> Result<usize, String> {
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
            b'R' => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                self.push(Value::Call { function, arguments, state: None });
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
        let number =
            self.file[bytes].iter().rev().fold(0_u64, |sum, &byte| sum << 8 | u64::from(byte));
        i64::try_from(number).map_err(|_| "a number that is too large".to_owned())
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
    fn text(&self, place: usize) -> Option<&str> {
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
    fn entry(&self, dictionary: usize, key: &str) -> Option<usize> {
        let Value::Dictionary(entries) = &self.values[dictionary] else { return None };
        let found = entries.chunks_exact(2).find(|pair| self.text(pair[0]) == Some(key));
        found.map(|pair| pair[1])
    }

    fn list(&self, place: usize) -> Option<&[usize]> {
        match &self.values[place] {
            Value::List(list) => Some(list),
            _ => None,
        }
    }

    /// The arguments of a call to a function whose name ends like this, and what is built into it.
    fn call(&self, place: usize, name: &str) -> Option<(&[usize], Option<usize>)> {
        let Value::Call { function, arguments, state } = self.values.get(place)? else {
            return None;
        };
        let Value::Global(global) = &self.values[*function] else { return None };
        global.ends_with(name).then_some(())?;
        Some((self.list(*arguments)?, *state))
    }

    /// The bytes of a NumPy array of `[rows, columns]`, row by row.
    fn array(&self, place: usize, columns: usize) -> Option<Vec<u8>> {
        let (_, state) = self.call(place, "core.multiarray._reconstruct")?;
        let &[_, shape, kind, by_columns, bytes] = self.list(state?)? else { return None };
        let (arguments, _) = self.call(kind, "numpy.dtype")?;
        let is_byte = matches!(self.text(*arguments.first()?)?, "u1" | "|u1" | "uint8");
        let &[rows, width] = self.list(shape)? else { return None };
        let bytes = self.bytes(bytes)?;
        let (Value::Number(rows), Value::Number(width)) = (&self.values[rows], &self.values[width])
        else {
            return None;
        };
        let (rows, width) = (usize::try_from(*rows).ok()?, usize::try_from(*width).ok()?);
        let fits = width == columns && rows.checked_mul(columns) == Some(bytes.len());
        if !(is_byte && fits) {
            return None;
        }
        match self.values[by_columns] {
            Value::Number(0) => Some(bytes),
            Value::Number(_) => {
                let places = (0..rows).flat_map(|row| (0..columns).map(move |c| c * rows + row));
                Some(places.map(|place| bytes[place]).collect())
            }
            _ => None,
        }
    }

    /// Bytes, as Python 2 writes them or as Python 3 does for it: a text of characters below 256.
    fn bytes(&self, place: usize) -> Option<Vec<u8>> {
        if let Value::Bytes(range) = &self.values[place] {
            return Some(self.file[range.clone()].to_vec());
        }
        let (arguments, _) = self.call(place, "_codecs.encode")?;
        let text = self.text(*arguments.first()?)?;
        let mut bytes = Vec::with_capacity(text.len());
        for character in text.chars() {
            bytes.push(u8::try_from(character).ok()?);
        }
        Some(bytes)
    }
}
