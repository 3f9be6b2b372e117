//! A reader of event files that shares nothing with the writer but the format.

#![allow(dead_code, reason = "no test uses all of it")]

/// CRC-32C, a bit at a time.
pub(crate) fn checksum(bytes: &[u8]) -> u32 {
    let mut register = u32::MAX;
    for &byte in bytes {
        register ^= u32::from(byte);
        for _ in 0..8 {
            register = (register >> 1) ^ (0x82f6_3b78 * (register & 1));
        }
    }
    !register
}

fn masked(bytes: &[u8]) -> u32 {
    let sum = checksum(bytes);
    sum.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// The records of a file, their checksums checked.
pub(crate) fn records(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut take = |count: usize| {
        let (front, rest) = bytes.split_at_checked(count)?;
        bytes = rest;
        Some(front)
    };
    let number = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().unwrap());
    let mut records = Vec::new();
    while let Some(length) = take(8) {
        assert_eq!(number(take(4).unwrap()), masked(length));
        let count = u64::from_le_bytes(length.try_into().unwrap());
        let record = take(usize::try_from(count).unwrap()).unwrap();
        assert_eq!(number(take(4).unwrap()), masked(record));
        records.push(record.to_vec());
    }
    records
}

/// A field of a protocol buffer: its number, and its bytes.
pub(crate) fn fields(mut bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = bytes[0];
            *bytes = &bytes[1..];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        value
    }
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let content = match key & 7 {
            0 => varint(&mut bytes).to_le_bytes().to_vec(),
            kind => {
                let length = match kind {
                    1 => 8,
                    5 => 4,
                    2 => usize::try_from(varint(&mut bytes)).unwrap(),
                    other => panic!("a field of kind {other}"),
                };
                let (content, rest) = bytes.split_at(length);
                bytes = rest;
                content.to_vec()
            }
        };
        fields.push((key >> 3, content));
    }
    fields
}

pub(crate) fn field(fields: &[(u64, Vec<u8>)], number: u64) -> Vec<Vec<u8>> {
    fields.iter().filter(|(n, _)| *n == number).map(|(_, content)| content.clone()).collect()
}

/// Step, tag and value of every scalar of a file.
pub(crate) fn scalars(bytes: &[u8]) -> Vec<(u64, String, f32)> {
    let mut found = Vec::new();
    for (i, record) in records(bytes).iter().enumerate() {
        let event = fields(record);
        let time = f64::from_le_bytes(field(&event, 1)[0].clone().try_into().unwrap());
        assert!(time > 1.7e9, "seconds since 1970");
        if i == 0 {
            assert_eq!(field(&event, 3), [b"brain.Event:2".to_vec()]);
            continue;
        }
        let step = field(&event, 2)
            .first()
            .map_or(0, |step| u64::from_le_bytes(step.clone().try_into().unwrap()));
        for summary in field(&event, 5) {
            for value in field(&fields(&summary), 1) {
                let value = fields(&value);
                let tag = String::from_utf8(field(&value, 1)[0].clone()).unwrap();
                let Some(number) = field(&value, 2).pop() else { continue };
                found.push((step, tag, f32::from_le_bytes(number.try_into().unwrap())));
            }
        }
    }
    found
}

/// What the plugin of hyperparameters finds: the tag of each summary with its data, and its bytes.
pub(crate) fn hparams(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for record in records(bytes) {
        for summary in field(&fields(&record), 5) {
            for value in field(&fields(&summary), 1) {
                let value = fields(&value);
                let Some(metadata) = field(&value, 9).pop() else { continue };
                assert_eq!(field(&fields(&metadata), 4)[0], 2_u64.to_le_bytes(), "a tensor");
                let tensor = fields(&field(&value, 8)[0]);
                assert_eq!(field(&tensor, 1)[0], 1_u64.to_le_bytes(), "of numbers in f32");
                let plugin = fields(&field(&fields(&metadata), 1)[0]);
                assert_eq!(field(&plugin, 1), [b"hparams".to_vec()]);
                let tag = String::from_utf8(field(&value, 1)[0].clone()).unwrap();
                found.push((tag, field(&plugin, 2)[0].clone()));
            }
        }
    }
    found
}

/// The hyperparameters of a session's start, as text: a number as it is, a text in quotes.
pub(crate) fn settings(start: &[u8]) -> Vec<(String, String)> {
    let start = fields(&field(&fields(start), 3)[0]);
    let entry = |entry: Vec<u8>| {
        let entry = fields(&entry);
        let name = String::from_utf8(field(&entry, 1)[0].clone()).unwrap();
        (name, value(&field(&entry, 2)[0]))
    };
    field(&start, 1).into_iter().map(entry).collect()
}

/// A `google.protobuf.Value` as text.
pub(crate) fn value(bytes: &[u8]) -> String {
    let (kind, content) = fields(bytes).pop().unwrap();
    match kind {
        2 => f64::from_le_bytes(content.try_into().unwrap()).to_string(),
        3 => format!("{:?}", String::from_utf8(content).unwrap()),
        4 => (content[0] == 1).to_string(),
        other => panic!("a value of kind {other}"),
    }
}
