//! Weights from files of others and for others: names, layouts, and what networks make of them.
//!
//! `data/weights.py` fills torchvision's networks by a formula and wrote `data/weights.json`, and
//! the files of `torch.save` in `fuzz/seeds/weights`.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor};
use common::{assert_close, in_f64, numbers, tensor, uniform};
use lowland_tasks::Error;
use lowland_tasks::models::{Model, ModelName};
use lowland_tasks::weights::{Export, Names, Stored, parse};
use safetensors::tensor::{Dtype, TensorView};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    classes: usize,
    side: usize,
    /// Names and shapes of the `state_dict`.
    state: BTreeMap<String, Vec<usize>>,
    /// The first ten outputs for one image, in `f64`.
    outputs: Vec<f64>,
}

fn cases() -> BTreeMap<String, Case> {
    serde_json::from_str(include_str!("data/weights.json")).unwrap()
}

/// The numbers of a tensor of PyTorch, by its name.
fn formula(name: &str, shape: &[usize]) -> Vec<u8> {
    let (centre, spread) = match shape {
        [_, rest @ ..] if !rest.is_empty() => {
            (0.0, (3.0 / rest.iter().product::<usize>() as f64).sqrt())
        }
        _ if name.ends_with("running_var") => (1.0, 0.5),
        _ if name.ends_with("weight") => (1.0, 0.3),
        _ => (0.0, 0.2),
    };
    #[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
    let number = |u: f64| ((centre + spread * u) as f32).to_le_bytes();
    uniform(name, shape.iter().product()).flat_map(number).collect()
}

/// A SafeTensors file of tensors by the formula, each stored under another name.
fn file(state: &BTreeMap<String, Vec<usize>>, stored_as: impl Fn(&str) -> String) -> Vec<u8> {
    let numbers: Vec<_> =
        state.iter().map(|(name, shape)| (name, shape, formula(name, shape))).collect();
    let views = numbers.iter().map(|(name, shape, bytes)| {
        (stored_as(name), TensorView::new(Dtype::F32, (*shape).clone(), bytes).unwrap())
    });
    safetensors::serialize(views, None).unwrap()
}

/// Writes a file into a folder of its own.
fn written(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights");
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn fresh(name: &str, classes: usize) -> Model {
    name.parse::<ModelName>().unwrap().init(classes, 3, 0, &Device::flex()).unwrap()
}

fn loaded(name: &str, classes: usize, bytes: &[u8], new_head: bool) -> Result<Model, String> {
    let (_folder, path) = written(bytes);
    fresh(name, classes).with_weights(&path, new_head).map_err(|error| {
        assert!(matches!(error, Error::Weights { .. } | Error::LastLayer { .. }), "{error}");
        error.to_string().replace(&path.display().to_string(), "FILE")
    })
}

fn exported(model: Model, name: &str) -> Stored {
    let export = Export::of(name, &[]);
    parse(Path::new("x"), model.to_safetensors(&export).unwrap()).unwrap()
}

#[test]
fn networks_with_the_weights_of_torchvision_compute_what_it_computes() {
    let cases = cases();
    assert_eq!(cases.len(), 5);
    for (name, case) in &cases {
        let model = loaded(name, case.classes, &file(&case.state, str::to_owned), false).unwrap();
        let model = in_f64(model);
        let shape = [1, 3, case.side, case.side];
        let pixels = uniform("images", shape.iter().product()).map(|u| 1.5 * u).collect();
        let images: Tensor<4> = tensor(pixels, shape, &Device::flex());
        let outputs = numbers(model.forward(images));
        assert_close(&outputs[..case.outputs.len()], &case.outputs, 1e-9, name);
    }
}

#[test]
fn names_shapes_and_numbers_are_written_as_pytorch_has_them() {
    for (name, case) in cases() {
        let model = loaded(&name, case.classes, &file(&case.state, str::to_owned), false).unwrap();
        let stored = exported(model, &name);
        assert_eq!(stored.shapes(), case.state, "{name}");
        for (tensor, shape) in &case.state {
            assert_eq!(stored.bytes(tensor).unwrap().unwrap(), formula(tensor, shape), "{tensor}");
        }
    }
}

#[test]
fn the_same_weights_give_the_same_bytes_with_what_goes_with_them() {
    let mut export = Export::of("resnet20", &["cat".to_owned(), "dog \"\\".to_owned()]);
    export.add("image_mean", &serde_json::json!([0.5]));
    let write = || fresh("resnet20", 2).to_safetensors(&export).unwrap();
    let bytes = write();
    assert_eq!(bytes, write());
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let found: BTreeMap<_, _> = header.metadata().clone().unwrap().into_iter().collect();
    export.metadata.insert("format".to_owned(), "pt".to_owned());
    assert_eq!(found, export.metadata);
    assert_eq!(found["classes"], r#"["cat","dog \"\\"]"#);
    let length = u64::from_le_bytes(*bytes.first_chunk().unwrap());
    assert!(length.is_multiple_of(8), "{length}");
}

#[test]
fn networks_that_pytorch_lacks_have_their_own_names_in_its_layout() {
    let small = exported(fresh("small-cnn", 10), "small-cnn").shapes();
    assert_eq!(small["head.weight"], [10, 32 * 16]);
    assert_eq!(small["first_norm.weight"], [8]);
    assert!(small.contains_key("first_norm.running_var"));
    let vit = exported(fresh("vit", 10), "vit").shapes();
    assert_eq!(vit["encoder.layers.0.pwff.linear_inner.weight"], [768, 192]);
    assert!(vit.contains_key("encoder.layers.0.norm_1.bias"));
    for name in ModelName::IMAGES {
        // Large ones are made of the layers of the others.
        if !matches!(name.name(), "small-cnn" | "small-cnn-wide" | "resnet20" | "resnet56" | "vit")
        {
            continue;
        }
        let model = fresh(name.name(), 3);
        let bytes = model.clone().to_safetensors(&Export::of(name.name(), &[])).unwrap();
        let again = loaded(name.name(), 3, &bytes, false).unwrap();
        let again = again.to_safetensors(&Export::of(name.name(), &[])).unwrap();
        assert!(bytes == again, "{name}");
    }
}

#[test]
fn what_exporters_put_before_names_is_left_out() {
    let case = &cases()["resnet20"];
    let plain = exported(
        loaded("resnet20", 10, &file(&case.state, str::to_owned), false).unwrap(),
        "resnet20",
    );
    for prefix in ["module.", "model.", "_orig_mod.", "module.model."] {
        let bytes = file(&case.state, |name| format!("{prefix}{name}"));
        let found = exported(loaded("resnet20", 10, &bytes, false).unwrap(), "resnet20");
        assert_eq!(found.shapes(), plain.shapes());
        assert_eq!(found.bytes("fc.weight"), plain.bytes("fc.weight"));
    }
    // Another habit of networks for CIFAR.
    let bytes = file(&case.state, |name| name.replace("fc.", "linear."));
    let found = exported(loaded("resnet20", 10, &bytes, false).unwrap(), "resnet20");
    assert_eq!(found.bytes("fc.bias"), plain.bytes("fc.bias"));
    let twice = file(&case.state, |name| name.replace("bn1.bias", "module.conv1.weight"));
    let error = loaded("resnet20", 10, &twice, false).unwrap_err();
    assert!(error.contains("it has") && error.contains("twice"), "{error}");
}

#[test]
fn another_number_of_classes_needs_a_new_head() {
    let case = &cases()["resnet20"];
    let bytes = file(&case.state, str::to_owned);
    assert_eq!(
        loaded("resnet20", 4, &bytes, false).unwrap_err(),
        "FILE does not hold the weights of the network: its last layer is for another number of classes: \
         fc.weight is [10, 64], expected [4, 64]; --new-head (new_head = true) draws that layer anew and keeps \
         all others"
    );
    let found = exported(loaded("resnet20", 4, &bytes, true).unwrap(), "resnet20");
    let drawn = exported(fresh("resnet20", 4), "resnet20");
    for (name, shape) in found.shapes() {
        if name.starts_with("fc.") {
            assert_eq!(found.bytes(&name), drawn.bytes(&name), "{name}");
        } else {
            assert_eq!(found.bytes(&name).unwrap().unwrap(), formula(&name, &shape), "{name}");
        }
    }
    // A file without the last layer will do then, and only then.
    let state: BTreeMap<_, _> =
        case.state.clone().into_iter().filter(|(name, _)| !name.starts_with("fc.")).collect();
    let bare = file(&state, str::to_owned);
    loaded("resnet20", 4, &bare, true).unwrap();
    let error = loaded("resnet20", 4, &bare, false).unwrap_err();
    assert!(error.contains("2 missing, the first fc."), "{error}");
}

#[test]
fn a_misfit_is_a_few_words_that_name_both_sides_and_the_way() {
    let all = cases();
    let deep = file(&all["resnet50-imagenet"].state, str::to_owned);
    assert_eq!(
        loaded("resnet18-imagenet", 7, &deep, false).unwrap_err(),
        "FILE does not hold the weights of the network: it has 267 tensors, expected 102: 24 misshapen, the first \
         layer1.0.conv1.weight: F32 of shape [64, 64, 1, 1], expected [64, 64, 3, 3]; 165 that are no part of it, \
         the first layer1.0.bn3.bias; it looks like a ResNet-50 with the stem for ImageNet; name the network that \
         the file is of, or another file"
    );
    let mut grey = all["resnet20"].state.clone();
    grey.insert("conv1.weight".to_owned(), vec![16, 1, 3, 3]);
    for classes in [10, 4] {
        let error = loaded("resnet20", classes, &file(&grey, str::to_owned), false).unwrap_err();
        let end =
            "it is for images of 1 channel and images are read with 3 here: name another file";
        assert!(error.ends_with(end), "{error}");
    }
    let own = fresh("resnet20", 10).to_safetensors(&Export::of("resnet20", &[])).unwrap();
    let error = loaded("small-cnn", 10, &own, false).unwrap_err();
    assert!(error.contains("Lowland wrote it for resnet20"), "{error}");
    let record = fresh_record("resnet20");
    let error = loaded("small-cnn", 10, &record, false).unwrap_err();
    assert!(error.contains("it is a record of ResNet20") && error.len() < 600, "{error}");
    let error = loaded("small-cnn", 10, b"PNG and more", false).unwrap_err();
    assert!(error.contains("it is none of a record of Burn (.bpk)"), "{error}");
}

fn fresh_record(name: &str) -> Vec<u8> {
    use burn::module::Module;
    fresh(name, 10).into_record().into_bytes().unwrap().to_vec()
}

#[test]
fn a_record_of_another_number_of_classes_gives_all_but_the_head() {
    let record = fresh_record("resnet20");
    let same = exported(loaded("resnet20", 10, &record, false).unwrap(), "resnet20");
    assert_eq!(same.bytes("fc.weight"), exported(fresh("resnet20", 10), "x").bytes("fc.weight"));
    let error = loaded("resnet20", 3, &record, false).unwrap_err();
    assert!(error.contains("--new-head"), "{error}");
    let other = loaded("resnet20", 3, &record, true).unwrap();
    assert_eq!(exported(other, "resnet20").shapes()["fc.weight"], [3, 64]);
}

fn seed(name: &str) -> Stored {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/weights");
    parse(Path::new(name), std::fs::read(folder.join(name)).unwrap()).unwrap()
}

fn floats(stored: &Stored, name: &str) -> Vec<f32> {
    let bytes = stored.bytes(name).unwrap().unwrap();
    bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect()
}

#[test]
fn files_of_torch_save_are_read_in_both_formats() {
    for ending in ["", "-legacy"] {
        let plain = seed(&format!("plain{ending}.pth"));
        let shapes = [("bias".to_owned(), vec![2]), ("weight".to_owned(), vec![2, 3])].into();
        assert_eq!(plain.shapes(), shapes);
        let nested = seed(&format!("nested{ending}.pth"));
        for (name, shape) in &shapes {
            assert_eq!(plain.bytes(name).unwrap().unwrap(), formula(name, shape));
            assert_eq!(nested.bytes(&format!("module.{name}")), plain.bytes(name));
        }

        let views = seed(&format!("views{ending}.pth"));
        let whole = floats(&views, "whole"); // [4, 3]
        assert_eq!(views.bytes("whole").unwrap().unwrap(), formula("whole", &[4, 3]));
        assert_eq!(views.shapes()["transposed"], [3, 4]);
        let column = |column: usize| whole.iter().skip(column).step_by(3).copied();
        let transposed: Vec<f32> = (0..3).flat_map(column).collect();
        assert_eq!(floats(&views, "transposed"), transposed);
        assert_eq!(floats(&views, "row"), whole[3..6]);
        assert_eq!(floats(&views, "column"), column(2).collect::<Vec<_>>());
        assert_eq!(floats(&views, "last"), whole[6..]);

        let types = seed(&format!("types{ending}.pth"));
        assert_eq!(types.shapes().len(), 7);
        let doubles = types.bytes("f64").unwrap().unwrap();
        let doubles: Vec<f64> =
            doubles.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect();
        let single = formula("f64", &[3]);
        let single = single.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
        assert_eq!(doubles, single.map(f64::from).collect::<Vec<_>>());
        assert_eq!(types.bytes("i64").unwrap().unwrap()[..8], (-1_i64).to_le_bytes());
        assert_eq!(types.bytes("bf16").unwrap().unwrap().len(), 6);
        assert_eq!(types.bytes("parameter").unwrap().unwrap(), formula("parameter", &[2, 2]));
        assert!(types.bytes("empty").unwrap().unwrap().is_empty());
        assert_eq!(floats(&types, "scalar"), [2.5]);
    }
}

#[test]
fn names_of_blocks_count_stages() {
    let names = Names::ResNet(vec![2, 3]);
    assert_eq!(names.of("blocks.1.second_norm.weight"), "layer1.1.bn2.weight");
    assert_eq!(names.of("blocks.2.shortcut.convolution.weight"), "layer2.0.downsample.0.weight");
    assert_eq!(names.of("blocks.4.third.weight"), "layer2.2.conv3.weight");
    assert_eq!(names.of("stem_norm.running_mean"), "bn1.running_mean");
    assert_eq!(names.of("head.bias"), "fc.bias");
    let bert = Names::Bert.of("encoder.layers.11.attention_norm.bias");
    assert_eq!(bert, "bert.encoder.layer.11.attention.output.LayerNorm.bias");
}
