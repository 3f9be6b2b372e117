//! Files of events, read back by a reader that shares nothing with the writer but the format.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use lowland_tasks::events::EventWriter;

/// CRC-32C, a bit at a time.
fn checksum(bytes: &[u8]) -> u32 {
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
fn records(mut bytes: &[u8]) -> Vec<Vec<u8>> {
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
fn fields(mut bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
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

fn field(fields: &[(u64, Vec<u8>)], number: u64) -> Vec<Vec<u8>> {
    fields.iter().filter(|(n, _)| *n == number).map(|(_, content)| content.clone()).collect()
}

/// Step, tag and value of every scalar of a file.
fn scalars(bytes: &[u8]) -> Vec<(u64, String, f32)> {
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
                let number = f32::from_le_bytes(field(&value, 2)[0].clone().try_into().unwrap());
                found.push((step, tag, number));
            }
        }
    }
    found
}

#[test]
fn the_checksum_is_the_one_of_the_standard() {
    assert_eq!(checksum(b"123456789"), 0xe306_9283, "RFC 3720");
}

#[test]
fn scalars_are_read_back_as_they_were_written() {
    let mut file = Vec::new();
    let mut writer = EventWriter::begin(&mut file).unwrap();
    writer.scalars(1, &[("train/loss", 2.5), ("step/passes", 0.0)]).unwrap();
    writer.scalars(300, &[("train/loss", f64::NAN)]).unwrap();
    writer.flush().unwrap();
    let mut writer = EventWriter::go_on(&mut file);
    writer.scalars(u64::from(u32::MAX) + 7, &[("Größe", -1e-3)]).unwrap();
    let found = scalars(&file);
    assert_eq!(found[0], (1, "train/loss".to_owned(), 2.5));
    assert_eq!(found[1], (1, "step/passes".to_owned(), 0.0));
    assert_eq!((found[2].0, found[2].2.is_nan()), (300, true));
    assert_eq!(found[3], (4_294_967_302, "Größe".to_owned(), -1e-3));
    assert_eq!(found.len(), 4);
}
