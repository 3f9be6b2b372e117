//! Files of events, read back by a reader that shares nothing with the writer but the format.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;

use common::{checksum, field, fields, hparams, scalars, settings, value};
use lowland_tensorboard::{EventWriter, Experiment, Metric, Part, Status, Value};

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
    let mut writer = EventWriter::append(&mut file);
    writer.scalars(u64::from(u32::MAX) + 7, &[("Größe", -1e-3)]).unwrap();
    let found = scalars(&file);
    assert_eq!(found[0], (1, "train/loss".to_owned(), 2.5));
    assert_eq!(found[1], (1, "step/passes".to_owned(), 0.0));
    assert_eq!((found[2].0, found[2].2.is_nan()), (300, true));
    assert_eq!(found[3], (4_294_967_302, "Größe".to_owned(), -1e-3));
    assert_eq!(found.len(), 4);
}

fn run(rho: Option<f64>, name: &str) -> BTreeMap<String, Value> {
    let mut settings = BTreeMap::from([
        ("algorithm.name".to_owned(), Value::from(name)),
        ("seed".to_owned(), Value::from(3_i64)),
        ("largest".to_owned(), Value::from(i64::MAX)),
        ("upright".to_owned(), Value::from(false)),
    ]);
    settings.extend(rho.map(|rho| ("algorithm.rho".to_owned(), Value::from(rho))));
    settings
}

#[test]
fn a_session_has_its_settings_and_its_end() {
    let mut file = Vec::new();
    let mut writer = EventWriter::begin(&mut file).unwrap();
    writer.session_start(&run(Some(0.0), "sam")).unwrap();
    writer.scalars(1, &[("test/accuracy", 0.5)]).unwrap();
    writer.session_end(Status::Failure).unwrap();
    assert_eq!(scalars(&file), [(1, "test/accuracy".to_owned(), 0.5)]);
    let found = hparams(&file);
    let tags: Vec<&str> = found.iter().map(|(tag, _)| tag.as_str()).collect();
    assert_eq!(tags, ["_hparams_/session_start_info", "_hparams_/session_end_info"]);
    let found_settings = settings(&found[0].1);
    let expected = [
        ("algorithm.name", "\"sam\""),
        ("algorithm.rho", "0"),
        // More than an f64 holds exactly.
        ("largest", "\"9223372036854775807\""),
        ("seed", "3"),
        ("upright", "false"),
    ];
    assert_eq!(found_settings, expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
    let end = fields(&field(&fields(&found[1].1), 4)[0]);
    assert_eq!(field(&end, 1)[0], 2_u64.to_le_bytes(), "a failure");
    assert!(f64::from_le_bytes(field(&end, 2)[0].clone().try_into().unwrap()) > 1.7e9);
}

#[test]
fn an_experiment_has_the_values_of_all_runs_and_says_which_differ() {
    let metric = Metric {
        tag: "validation/loss".to_owned(),
        name: "validation loss".to_owned(),
        part: Part::Validation,
    };
    let runs = [run(None, "sgd"), run(Some(0.05), "sam"), run(Some(0.2), "sam")];
    let mut file = Vec::new();
    let mut writer = EventWriter::begin(&mut file).unwrap();
    writer.experiment(&Experiment::of(&runs, vec![metric])).unwrap();
    let found = hparams(&file);
    assert_eq!(found[0].0, "_hparams_/experiment");
    let experiment = fields(&field(&fields(&found[0].1), 2)[0]);
    let info = |bytes: Vec<u8>| {
        let info = fields(&bytes);
        let name = String::from_utf8(field(&info, 1)[0].clone()).unwrap();
        let kind = field(&info, 4)[0][0];
        let domain = match (field(&info, 5).first(), field(&info, 6).first()) {
            (Some(list), None) => field(&fields(list), 1).iter().map(|v| value(v)).collect(),
            (None, Some(interval)) => {
                let end = |bytes: Vec<u8>| f64::from_le_bytes(bytes.try_into().unwrap());
                fields(interval).into_iter().map(|(_, bytes)| end(bytes).to_string()).collect()
            }
            other => panic!("{other:?}"),
        };
        let differs = field(&info, 7).first().is_some_and(|differs| differs[0] == 1);
        (name, kind, domain, differs)
    };
    let found: Vec<(String, u8, Vec<String>, bool)> =
        field(&experiment, 4).into_iter().map(info).collect();
    let expected: [(&str, u8, &[&str], bool); 5] = [
        ("algorithm.name", 1, &["\"sam\"", "\"sgd\""], true),
        ("algorithm.rho", 3, &["0.05", "0.2"], true),
        ("largest", 1, &["\"9223372036854775807\""], false),
        ("seed", 3, &["3", "3"], false),
        ("upright", 2, &["false"], false),
    ];
    let owned = |&(name, kind, domain, differs): &(&str, u8, &[&str], bool)| {
        let domain = domain.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        (name.to_owned(), kind, domain, differs)
    };
    assert_eq!(found, expected.iter().map(owned).collect::<Vec<_>>());
    let metric = fields(&field(&experiment, 5)[0]);
    assert_eq!(field(&fields(&field(&metric, 1)[0]), 2), [b"validation/loss".to_vec()]);
    assert_eq!(field(&metric, 3), [b"validation loss".to_vec()]);
    assert_eq!(field(&metric, 5)[0], 2_u64.to_le_bytes());
}
