//! Transformers from the folders of others, and a run's folder as that of a model.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use lowland_tasks::models::Model;
use lowland_tasks::text::{
    FineTuning, LoraConfig, Text, TextClassifier, TextSet, TextTokenizer, Trained,
};
use lowland_tasks::weights::{Export, parse};
use lowland_tasks::{Error, Result};
use serde_json::{Value, json};
use tempfile::TempDir;

fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tiny-bert")
}

/// A folder with copies of some of the tiny network's files.
fn copy(files: &[&str]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for file in files {
        fs::copy(tiny().join(file), folder.path().join(file)).unwrap();
    }
    folder
}

fn load(from: &Path, classes: usize, tuning: &FineTuning) -> Result<TextClassifier> {
    TextClassifier::from_folder(from, classes, tuning, 7, &Device::flex())
}

fn texts() -> Vec<Text> {
    vec!["The man is eating food.".into(), ("It was UNLIKELY bad", "a dog sleeps").into()]
}

/// The logits of two texts, bit by bit.
fn logits(network: &TextClassifier) -> Vec<u32> {
    let tokenizer = TextTokenizer::from_folder(&tiny(), 16).unwrap();
    let classes = (0..3).map(|class| class.to_string()).collect();
    let set = TextSet::new(&texts(), vec![0, 1], classes, &tokenizer).unwrap();
    let logits: Tensor<2> = network.forward(set.batch(&[0, 1]).to_device(&Device::flex()).input);
    logits.into_data().iter::<f32>().map(f32::to_bits).collect()
}

/// Writes what a run would: weights with their metadata.
fn export(network: TextClassifier, folder: &Path) {
    let about = Export::of("transformer", &[]);
    let bytes = Model::Transformer(network).to_safetensors(&about).unwrap();
    fs::write(folder.join("model.safetensors"), bytes).unwrap();
}

#[test]
fn names_and_numbers_are_written_as_transformers_has_them() {
    let network = load(&tiny(), 3, &FineTuning::default()).unwrap();
    let about = Export::of("transformer", &[]);
    let written = Model::Transformer(network).to_safetensors(&about).unwrap();
    let written = parse(Path::new("x"), written).unwrap();
    // That file was written by transformers.
    let published = fs::read(tiny().join("model.safetensors")).unwrap();
    let published = parse(Path::new("x"), published).unwrap();
    let mut compared = 0;
    for (name, shape) in published.shapes() {
        if name.starts_with("pooler.") || name == "embeddings.position_ids" {
            continue;
        }
        let own = format!("bert.{name}");
        assert_eq!(written.shapes()[&own], shape, "{name}");
        assert_eq!(written.bytes(&own), published.bytes(&name), "{name}");
        compared += 1;
    }
    let shapes = written.shapes();
    assert_eq!((compared, shapes.len()), (37, 39));
    assert_eq!(
        (&shapes["classifier.weight"], &shapes["classifier.bias"]),
        (&vec![3, 16], &vec![3])
    );
}

#[test]
fn a_folder_with_pytorch_model_bin_gives_the_same_network() {
    let folder = copy(&["config.json", "tokenizer.json", "pytorch_model.bin"]);
    let found = load(folder.path(), 3, &FineTuning::default()).unwrap();
    let expected = logits(&load(&tiny(), 3, &FineTuning::default()).unwrap());
    assert_eq!(logits(&found), expected);
    // A file of weights stands for its folder.
    let file = tiny().join("pytorch_model.bin");
    assert_eq!(logits(&load(&file, 3, &FineTuning::default()).unwrap()), expected);
    let folder = copy(&["config.json", "tokenizer.json"]);
    let error = load(folder.path(), 3, &FineTuning::default()).unwrap_err().to_string();
    assert!(error.contains("model.safetensors or pytorch_model.bin"), "{error}");
}

#[test]
fn a_fine_tuned_network_is_fine_tuned_on_with_its_head() {
    let network = load(&tiny(), 3, &FineTuning::default()).unwrap();
    let head = network.head.clone().map(&mut Spread);
    let network = TextClassifier { head, ..network };
    let folder = copy(&["config.json", "tokenizer.json"]);
    let expected = logits(&network);
    export(network.clone(), folder.path());
    let found = load(folder.path(), 3, &FineTuning::default()).unwrap();
    assert_eq!(logits(&found), expected);
    // Burn's record of the run's network says the same.
    let record = Model::Transformer(network).into_record().into_bytes().unwrap();
    let path = folder.path().join("best.bpk");
    fs::write(&path, &*record).unwrap();
    assert_eq!(logits(&load(&path, 3, &FineTuning::default()).unwrap()), expected);

    let error = load(folder.path(), 2, &FineTuning::default()).unwrap_err();
    assert!(matches!(error, Error::LastLayer { .. }), "{error}");
    let error = error.to_string();
    assert!(error.contains("classifier.weight is [3, 16], expected [2, 16]"), "{error}");
    assert!(error.contains("--new-head"), "{error}");
    let anew = FineTuning { new_head: true, ..FineTuning::default() };
    let found = load(folder.path(), 2, &anew).unwrap();
    assert_eq!(found.head.weight.dims(), [16, 2]);
    let found = load(folder.path(), 3, &anew).unwrap();
    assert_eq!(logits(&found), logits(&load(&tiny(), 3, &FineTuning::default()).unwrap()));
}

/// Doubles all weights.
struct Spread;

impl burn::module::ModuleMapper for Spread {
    fn map_float<const D: usize>(
        &mut self,
        param: burn::module::Param<Tensor<D>>,
    ) -> burn::module::Param<Tensor<D>> {
        param.map(|value| value * 2.0 + 0.25)
    }
}

#[test]
fn adapters_are_added_to_the_weights_that_they_belong_to() {
    let lora = LoraConfig { rank: 4, ..LoraConfig::default() };
    let tuning = FineTuning { trained: Trained::Lora(lora), ..FineTuning::default() };
    let network = load(&tiny(), 3, &tuning).unwrap().map(&mut Spread);
    let folder = copy(&["config.json", "tokenizer.json"]);
    let expected = logits(&network);
    let plain = load(&tiny(), 3, &FineTuning::default()).unwrap().map(&mut Spread);
    assert_ne!(logits(&plain), expected);
    export(network.clone(), folder.path());
    let names = fs::read(folder.path().join("model.safetensors")).unwrap();
    let names = parse(Path::new("x"), names).unwrap().shapes();
    assert!(names.len() == 39 && !names.keys().any(|name| name.contains("lora")), "{names:?}");
    let found = load(folder.path(), 3, &FineTuning::default()).unwrap();
    assert_eq!(logits(&found), expected);
    // A record holds them apart from the weights, which alone would be another network.
    let record = Model::Transformer(network).into_record().into_bytes().unwrap();
    let path = folder.path().join("best.bpk");
    fs::write(&path, &*record).unwrap();
    for tuning in [&tuning, &FineTuning::default()] {
        let error = load(&path, 3, tuning).unwrap_err().to_string();
        assert!(error.contains("low-rank adapters") && error.contains("safetensors"), "{error}");
    }
}

#[test]
fn a_classifier_of_others_is_left_where_it_is() {
    let bytes = fs::read(tiny().join("model.safetensors")).unwrap();
    let text = String::from_utf8_lossy(&bytes[..4000]).into_owned();
    assert!(text.contains("\"pooler.dense.bias\""));
    // The same length, so that no number moves.
    let bytes: Vec<u8> = replaced(&bytes, b"pooler.dense.bias", b"classifier.bias  ");
    let folder = copy(&["config.json", "tokenizer.json"]);
    fs::write(folder.path().join("model.safetensors"), bytes).unwrap();
    let found = load(folder.path(), 3, &FineTuning::default()).unwrap();
    assert_eq!(logits(&found), logits(&load(&tiny(), 3, &FineTuning::default()).unwrap()));
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}

#[test]
fn layers_that_the_configuration_does_not_know_are_refused() {
    let folder = copy(&["tokenizer.json", "model.safetensors"]);
    let mut config: Value =
        serde_json::from_slice(&fs::read(tiny().join("config.json")).unwrap()).unwrap();
    config["num_hidden_layers"] = json!(1);
    fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    let error = load(folder.path(), 3, &FineTuning::default()).unwrap_err().to_string();
    assert!(error.contains("16 that are no part of it, the first encoder.layer.1."), "{error}");
}

#[test]
fn entries_that_a_configuration_leaves_out_are_those_of_bert_base() {
    let folder = copy(&["tokenizer.json", "model.safetensors"]);
    let mut config: Value =
        serde_json::from_slice(&fs::read(tiny().join("config.json")).unwrap()).unwrap();
    let entries = config.as_object_mut().unwrap();
    for name in ["model_type", "hidden_act", "layer_norm_eps", "type_vocab_size", "pad_token_id"] {
        entries.remove(name).unwrap();
    }
    fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    let found = load(folder.path(), 3, &FineTuning::default()).unwrap();
    assert_eq!(logits(&found), logits(&load(&tiny(), 3, &FineTuning::default()).unwrap()));
    fs::write(folder.path().join("config.json"), "{}").unwrap();
    let error = load(folder.path(), 3, &FineTuning::default()).unwrap_err().to_string();
    assert!(error.contains("108891648 weights, at least 217783296 bytes"), "{error}");
}

/// The tokens of the tiny network, one a line, as they are numbered.
fn vocabulary() -> String {
    let file = fs::read(tiny().join("tokenizer.json")).unwrap();
    let file: Value = serde_json::from_slice(&file).unwrap();
    let tokens = file["model"]["vocab"].as_object().unwrap();
    let mut tokens: Vec<(u64, &str)> =
        tokens.iter().map(|(token, number)| (number.as_u64().unwrap(), token.as_str())).collect();
    tokens.sort_unstable();
    tokens.iter().flat_map(|(_, token)| [*token, "\n"]).collect()
}

#[test]
fn a_vocabulary_alone_gives_the_tokens_of_the_tokenizer() {
    let folder = copy(&["config.json"]);
    fs::write(folder.path().join("vocab.txt"), vocabulary()).unwrap();
    let [made, read] = [folder.path(), &*tiny()]
        .map(|folder| TextTokenizer::from_folder(folder, 16).unwrap().encode(&texts()).unwrap());
    assert_eq!(made, read);
    let cased = r#"{"do_lower_case": false}"#;
    fs::write(folder.path().join("tokenizer_config.json"), cased).unwrap();
    let other = TextTokenizer::from_folder(folder.path(), 16).unwrap().encode(&texts()).unwrap();
    // [UNK] for words with capitals.
    assert!(other[0].ids.contains(&1) && !made[0].ids.contains(&1), "{other:?}");

    let without = vocabulary().replace("[SEP]", "[end]");
    fs::write(folder.path().join("vocab.txt"), without).unwrap();
    let error = TextTokenizer::from_folder(folder.path(), 16).unwrap_err().to_string();
    assert!(error.contains("vocab.txt") && error.contains("found no [SEP]"), "{error}");
}
