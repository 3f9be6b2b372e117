//! The tags of a TIFF file, looked at before it is decoded: the decoder asks for the memory of a
//! value by the length that the file claims, up to 256 MiB, before it reads any of it.

/// What the tags of the first page claim that the file cannot hold, in words; `None` where they
/// claim no such thing, and where they end early, which is for the decoder to find.
pub(super) fn overlong_value(file: &[u8]) -> Option<String> {
    let is_big_endian = file.starts_with(b"MM");
    let number = |at: usize, bytes: usize| -> Option<u64> {
        let digits = file.get(at..at.checked_add(bytes)?)?;
        let add = |number: u64, digit: &u8| number << 8 | u64::from(*digit);
        Some(if is_big_endian {
            digits.iter().fold(0, add)
        } else {
            digits.iter().rev().fold(0, add)
        })
    };
    // BigTIFF has 64-bit places and counts.
    let (wide, entries, entry) = if number(2, 2)? == 43 { (8, 8, 20) } else { (4, 2, 12) };
    let start = usize::try_from(number(wide, wide)?).ok()?;
    let count = usize::try_from(number(start, entries)?).ok()?;
    let mut at = start.checked_add(entries)?;
    for _ in 0..count {
        let (kind, values) = (number(at.checked_add(2)?, 2)?, number(at.checked_add(4)?, wide)?);
        let length = values.saturating_mul(bytes_of(kind));
        if length > file.len() as u64 {
            return Some(format!("a tag of {length} bytes in a file of {}", file.len()));
        }
        at = at.checked_add(entry)?;
    }
    None
}

/// How many bytes a value of a type has.
fn bytes_of(kind: u64) -> u64 {
    match kind {
        // SHORT and SSHORT; LONG, SLONG, FLOAT and IFD; RATIONAL to DOUBLE, and those of BigTIFF.
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16 | 17 | 18 => 8,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with one tag of this type and count, of either byte order.
    fn file(is_big_endian: bool, kind: u16, count: u32) -> Vec<u8> {
        let short = |n: u16| if is_big_endian { n.to_be_bytes() } else { n.to_le_bytes() };
        let long = |n: u32| if is_big_endian { n.to_be_bytes() } else { n.to_le_bytes() };
        let order = if is_big_endian { b"MM" } else { b"II" };
        [
            &order[..],
            &short(42),
            &long(8),
            &short(1),
            &short(270),
            &short(kind),
            &long(count),
            &long(0),
            &long(0),
        ]
        .concat()
    }

    #[test]
    fn values_that_are_longer_than_the_file_are_found() {
        for order in [true, false] {
            assert_eq!(file(order, 2, 26).len(), 26);
            assert_eq!(overlong_value(&file(order, 2, 26)), None);
            let found = overlong_value(&file(order, 2, 27));
            assert_eq!(found.as_deref(), Some("a tag of 27 bytes in a file of 26"));
            assert!(overlong_value(&file(order, 3, 14)).is_some());
            assert!(overlong_value(&file(order, 12, u32::MAX)).is_some());
            // What ends early is for the decoder.
            for end in 0..18 {
                assert_eq!(overlong_value(&file(order, 2, 27)[..end]), None);
            }
        }
    }

    #[test]
    fn counts_of_bigtiff_have_64_bits() {
        let file = |count: u64| {
            let tag = [270_u16.to_le_bytes(), 2_u16.to_le_bytes()].concat();
            let head = [&b"II\x2b\0\x08\0\0\0"[..], &16_u64.to_le_bytes(), &1_u64.to_le_bytes()];
            [&head.concat()[..], &tag, &count.to_le_bytes(), &[0; 8]].concat()
        };
        assert_eq!(overlong_value(&file(44)), None);
        assert!(overlong_value(&file(45)).is_some());
        assert!(overlong_value(&file(u64::MAX)).is_some());
    }
}
