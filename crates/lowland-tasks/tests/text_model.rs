//! The transformer: it computes what PyTorch computes, and learns the parts that it should. In one
//! file, since all cases share the small encoder and its tokens.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::nn::Linear;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{DType, Device, Tensor};
use common::{assert_close, in_f64};
use lowland::cross_entropies;
use lowland::{Algorithm, BatchInfo, Parameters, SharpnessAware};
use lowland_tasks::Error;
use lowland_tasks::text::{
    BertConfig, FineTuning, LoraConfig, Projection, Text, TextClassifier, TextSet, TextTokenizer,
    Trained,
};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

/// What PyTorch made of the tiny network.
#[derive(Deserialize)]
struct Expected {
    texts: Vec<(String, Option<String>)>,
    labels: Vec<u16>,
    ids: Vec<Vec<u32>>,
    types: Vec<Vec<u8>>,
    head: Head,
    hidden: Vec<Vec<Vec<f64>>>,
    pooled: Vec<Vec<f64>>,
    logits: Vec<Vec<f64>>,
    losses: Vec<f64>,
    gradients: BTreeMap<String, Gradient>,
    cosine_of_the_first_two: f64,
}

#[derive(Deserialize)]
struct Head {
    weight: Vec<Vec<f64>>,
    bias: Vec<f64>,
}

#[derive(Deserialize)]
struct Gradient {
    norm: f64,
    projection: f64,
}

fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tiny-bert")
}

fn expected() -> Expected {
    serde_json::from_slice(&fs::read(tiny().join("expected.json")).unwrap()).unwrap()
}

fn device() -> Device {
    Device::flex().autodiff()
}

fn classes(count: usize) -> Vec<String> {
    (0..count).map(|class| class.to_string()).collect()
}

fn texts(expected: &Expected) -> Vec<Text> {
    let text = |(first, second): &(String, Option<String>)| Text {
        first: first.clone(),
        second: second.clone(),
    };
    expected.texts.iter().map(text).collect()
}

/// The texts of the reference.
fn set() -> TextSet {
    let expected = expected();
    let tokenizer = TextTokenizer::from_folder(&tiny(), 16).unwrap();
    TextSet::new(&texts(&expected), expected.labels, classes(3), &tokenizer).unwrap()
}

fn network(trained: Trained, seed: u64) -> TextClassifier {
    let tuning = FineTuning { trained, ..FineTuning::default() };
    TextClassifier::from_folder(&tiny(), 3, &tuning, seed, &device()).unwrap()
}

/// The network with the head of the reference, in `f64`.
fn reference() -> TextClassifier {
    let Head { weight, bias } = expected().head;
    let (to, from) = (weight.len(), weight[0].len());
    let weight = common::tensor(weight.concat(), [to, from], &device()).transpose();
    let bias = common::tensor(bias, [to], &device());
    let head = Linear { weight: Param::from_tensor(weight), bias: Some(Param::from_tensor(bias)) };
    TextClassifier { head, ..in_f64(network(Trained::All, 0)) }
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

/// How far what is computed in `f64` may be from the reference, or from itself in another order of
/// sums, as a share of the largest.
const TOLERANCE: f64 = 1e-9;

#[test]
fn hidden_states_means_logits_and_losses_are_those_of_pytorch() {
    let (expected, network) = (expected(), reference());
    let batch = set().batch(&[0, 1, 2, 3]).to_device(&device());
    let hidden = network.encoder.forward(batch.input.clone()); // [4, 16, 16]
    for (text, states) in expected.hidden.iter().enumerate() {
        let own = hidden.clone().slice([text..text + 1, 0..states.len(), 0..16]);
        assert_close(&numbers(own), &states.concat(), TOLERANCE, "hidden");
    }
    let mean = network.encoder.mean(batch.input.clone());
    assert_close(&numbers(mean), &expected.pooled.concat(), TOLERANCE, "mean");
    let logits = network.forward(batch.input);
    assert_close(&numbers(logits.clone()), &expected.logits.concat(), TOLERANCE, "logits");
    let losses = cross_entropies(logits, batch.targets.labels().unwrap(), 0.0);
    assert_close(&numbers(losses), &expected.losses, TOLERANCE, "loss");
}

/// Norm and projection of each gradient, by path.
struct Measured<'a> {
    gradients: &'a GradientsParams,
    path: Vec<String>,
    found: BTreeMap<String, (f64, f64)>,
}

impl ModuleVisitor for Measured<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(gradient) = self.gradients.get::<D>(param.id) else { return };
        let gradient = numbers(gradient);
        let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
        let projection = gradient.iter().enumerate().map(|(i, g)| g * (i as f64).cos()).sum();
        self.found.insert(self.path.join("."), (norm, projection));
    }
}

fn gradients(network: &TextClassifier) -> BTreeMap<String, (f64, f64)> {
    let batch = set().batch(&[0, 1, 2, 3]).to_device(&device());
    let labels = batch.targets.labels().unwrap();
    let loss = cross_entropies(network.forward(batch.input), labels, 0.0).mean();
    let gradients = GradientsParams::from_grads(loss.backward(), network);
    let mut measured = Measured { gradients: &gradients, path: Vec::new(), found: BTreeMap::new() };
    network.visit(&mut measured);
    measured.found
}

#[test]
fn every_gradient_is_that_of_pytorch() {
    let (expected, found) = (expected(), gradients(&reference()));
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.gradients.keys().collect::<Vec<_>>());
    let longest = expected.gradients.values().map(|of| of.norm).fold(0.0, f64::max);
    for (path, Gradient { norm, projection }) in &expected.gradients {
        // That of a key's bias is 0 but for rounding, and its share is one of the largest of all.
        let off = (found[path].0 - norm).abs().max((found[path].1 - projection).abs());
        assert!(off <= TOLERANCE * (norm + 1e-3 * longest), "{path}: {found:?}");
    }
}

#[test]
fn a_text_gives_the_same_alone_and_beside_longer_ones() {
    let (set, network) = (set(), reference());
    let together = network.forward(set.batch(&[0, 1, 2, 3]).to_device(&device()).input);
    for i in 0..4 {
        let alone = network.forward(set.batch(&[i]).to_device(&device()).input);
        let beside = together.clone().slice(i..i + 1);
        assert_close(&numbers(alone), &numbers(beside), TOLERANCE, "logits");
    }
}

#[test]
fn embeddings_have_length_one_and_the_cosine_of_pytorch() {
    let embedded = reference().embed(set().batch(&[0, 1]).to_device(&device()).input);
    let (first, second) = (embedded.clone().slice(0..1), embedded.slice(1..2));
    let cosine = |a: &Tensor<2>, b: &Tensor<2>| numbers((a.clone() * b.clone()).sum())[0];
    assert_close(&[cosine(&first, &first)], &[1.0], TOLERANCE, "length");
    let expected = expected().cosine_of_the_first_two;
    assert_close(&[cosine(&first, &second)], &[expected], TOLERANCE, "cosine");
}

#[test]
fn tokens_are_those_of_the_reference_whatever_the_file_says_of_cutting_and_filling() {
    let (expected, set) = (expected(), set());
    for i in 0..set.len() {
        assert_eq!(set.tokens(i), (&*expected.ids[i], &*expected.types[i]), "text {i}");
    }
}

#[test]
fn minilm_has_22_713_216_weights_with_the_pooler_that_nothing_here_needs() {
    let folder = TempDir::new().unwrap();
    write_config(
        folder.path(),
        &json!({
            "vocab_size": 30522, "hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12,
            "intermediate_size": 1536, "max_position_embeddings": 512,
        }),
    );
    let config = BertConfig::from_folder(folder.path()).unwrap();
    assert_eq!(config.parameter_count() + 384 * 384 + 384, 22_713_216);

    let config = BertConfig::from_folder(&tiny()).unwrap();
    let network = network(Trained::All, 0);
    assert_eq!(network.encoder.num_params() as u64, config.parameter_count());
}

/// The folder's `config.json`: that of the tiny network with other values.
fn write_config(folder: &Path, changes: &Value) {
    let mut config: Value =
        serde_json::from_slice(&fs::read(tiny().join("config.json")).unwrap()).unwrap();
    for (name, value) in changes.as_object().unwrap() {
        config[name] = value.clone();
    }
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
}

/// A folder with copies of the tiny network's files.
fn copy() -> TempDir {
    let folder = TempDir::new().unwrap();
    for file in ["config.json", "model.safetensors", "tokenizer.json"] {
        fs::copy(tiny().join(file), folder.path().join(file)).unwrap();
    }
    folder
}

fn load(folder: &Path) -> lowland_tasks::Result<TextClassifier> {
    TextClassifier::from_folder(folder, 3, &FineTuning::default(), 0, &device())
}

#[test]
fn sizes_that_make_no_sense_are_refused_by_name() {
    for (name, value) in [
        ("vocab_size", json!(0)),
        ("vocab_size", json!(1 << 30)),
        ("hidden_size", json!(1 << 20)),
        ("hidden_size", json!(-1)),
        ("num_hidden_layers", json!(1000)),
        ("num_attention_heads", json!(3)),
        ("num_attention_heads", json!(0)),
        ("intermediate_size", json!(1u64 << 40)),
        ("max_position_embeddings", json!(65536)),
        ("type_vocab_size", json!(257)),
        ("layer_norm_eps", json!(0.0)),
        ("pad_token_id", json!(36)),
        ("hidden_act", json!("relu")),
        ("model_type", json!("gpt2")),
        ("position_embedding_type", json!("relative_key")),
    ] {
        let folder = copy();
        write_config(folder.path(), &json!({ name: value }));
        let error = load(folder.path()).unwrap_err();
        let Error::Format { path, .. } = &error else { panic!("{error}") };
        assert!(path.ends_with("config.json"), "{error}");
        // What is no such number at all, the parser tells by place.
        assert!(error.to_string().contains(name) || value == json!(-1), "{error}");
    }
    let missing = TempDir::new().unwrap();
    assert!(matches!(load(missing.path()), Err(Error::File { .. })));
}

#[test]
fn more_weights_than_the_file_can_hold_are_refused_before_they_are_asked_for() {
    let folder = copy();
    write_config(folder.path(), &json!({ "vocab_size": 1 << 20, "hidden_size": 1 << 14 }));
    let error = load(folder.path()).unwrap_err().to_string();
    assert!(error.contains("model.safetensors") && error.contains("weights"), "{error}");
}

/// A file of tensors, taken apart.
struct Tensors {
    header: BTreeMap<String, Value>,
    data: Vec<u8>,
}

impl Tensors {
    fn tiny() -> Self {
        let bytes = fs::read(tiny().join("model.safetensors")).unwrap();
        let (length, rest) = bytes.split_at(8);
        let length = usize::try_from(u64::from_le_bytes(length.try_into().unwrap())).unwrap();
        let header = serde_json::from_slice(&rest[..length]).unwrap();
        Self { header, data: rest[length..].to_vec() }
    }

    fn write(&self, folder: &Path) {
        let header = serde_json::to_vec(&self.header).unwrap();
        let length = (header.len() as u64).to_le_bytes();
        let bytes = [&length[..], &header, &self.data].concat();
        fs::write(folder.join("model.safetensors"), bytes).unwrap();
    }
}

const QUERY: &str = "encoder.layer.1.attention.self.query.weight";

#[test]
fn tensors_that_are_missing_or_misshapen_are_named() {
    for (change, expected) in [
        (
            None,
            "it has 40 tensors, expected 39: 1 missing, the first encoder.layer.1.attention.self.query.weight;",
        ),
        (
            Some(json!([8, 32])),
            "1 misshapen, the first encoder.layer.1.attention.self.query.weight: F32 of shape [8, 32], expected [16, 16]",
        ),
    ] {
        let (folder, mut tensors) = (copy(), Tensors::tiny());
        let mut tensor = tensors.header.remove(QUERY).unwrap();
        let name = if let Some(shape) = change {
            tensor["shape"] = shape;
            QUERY
        } else {
            "another"
        };
        tensors.header.insert(name.to_owned(), tensor);
        tensors.write(folder.path());
        let error = load(folder.path()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_file_with_the_prefix_of_a_whole_model_gives_the_same_network() {
    let (folder, mut tensors) = (copy(), Tensors::tiny());
    let prefixed = |(name, value)| match name {
        name if name == "__metadata__" => (name, value),
        name => (format!("bert.{name}"), value),
    };
    tensors.header = tensors.header.into_iter().map(prefixed).collect();
    tensors.write(folder.path());
    let input = || set().batch(&[0, 1]).to_device(&device()).input;
    let (found, expected) = (load(folder.path()).unwrap(), network(Trained::All, 0));
    assert_eq!(numbers(found.forward(input())), numbers(expected.forward(input())));
}

#[test]
fn a_file_in_half_precision_gives_a_network_in_full_precision() {
    let (folder, mut tensors) = (copy(), Tensors::tiny());
    for (name, tensor) in &mut tensors.header {
        if name == "__metadata__" || tensor["dtype"] != "F32" {
            continue;
        }
        // The upper half of an f32 is a bf16; the lower halves are left out below.
        tensor["dtype"] = json!("BF16");
    }
    let integers = tensors.header.remove("embeddings.position_ids").unwrap();
    let integers = serde_json::from_value::<[usize; 2]>(integers["data_offsets"].clone()).unwrap();
    assert_eq!(integers[0], 0);
    let upper = tensors.data[integers[1]..].chunks_exact(4).flat_map(|f| [f[2], f[3]]).collect();
    tensors.data = upper;
    for (name, tensor) in &mut tensors.header {
        if name != "__metadata__" {
            let offsets = tensor["data_offsets"].as_array().unwrap();
            let offsets = offsets.iter().map(|at| (at.as_u64().unwrap() - integers[1] as u64) / 2);
            tensor["data_offsets"] = json!(offsets.collect::<Vec<_>>());
        }
    }
    tensors.write(folder.path());
    let found = weights(&load(folder.path()).unwrap());
    let exact = weights(&network(Trained::All, 0));
    let mut compared = 0;
    for (path, values) in exact.all.iter().filter(|(path, _)| path.starts_with("encoder")) {
        #[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
        let upper = |x: &f64| f64::from(f32::from_bits((*x as f32).to_bits() & 0xffff_0000));
        assert_eq!(found.all[path], values.iter().map(upper).collect::<Vec<_>>(), "{path}");
        compared += values.len();
    }
    assert_eq!(compared as u64, BertConfig::from_folder(&tiny()).unwrap().parameter_count());
    assert!(found.types.iter().all(|&dtype| dtype == DType::F32));
}

#[test]
fn settings_outside_their_range_are_refused() {
    let lora = |change: fn(&mut LoraConfig)| {
        let mut config = LoraConfig::default();
        change(&mut config);
        FineTuning { trained: Trained::Lora(config), ..FineTuning::default() }
    };
    for (tuning, classes, field) in [
        (FineTuning::default(), 0, "classes"),
        (FineTuning { dropout: 1.0, ..FineTuning::default() }, 2, "text.dropout"),
        (FineTuning { dropout: f64::NAN, ..FineTuning::default() }, 2, "text.dropout"),
        (lora(|lora| lora.rank = 0), 2, "text.trained.lora.rank"),
        (lora(|lora| lora.rank = 17), 2, "text.trained.lora.rank"),
        (lora(|lora| lora.alpha = 0.0), 2, "text.trained.lora.alpha"),
        (lora(|lora| lora.targets.clear()), 2, "text.trained.lora.targets"),
    ] {
        let network = TextClassifier::from_folder(&tiny(), classes, &tuning, 0, &device());
        let error = network.unwrap_err();
        assert!(
            matches!(&error, Error::Setting { field: found, .. } if *found == field),
            "{error}"
        );
    }
}

#[test]
fn fine_tuning_is_read_from_toml_as_it_is_written() {
    let read = |text: &str| toml::from_str::<FineTuning>(text);
    assert_eq!(read("").unwrap(), FineTuning::default());
    assert_eq!(read("trained = 'head'").unwrap().trained, Trained::Head);
    let lora = LoraConfig { rank: 4, ..LoraConfig::default() };
    let tuning = FineTuning { trained: Trained::Lora(lora), dropout: 0.1, ..FineTuning::default() };
    assert_eq!(read("dropout = 0.1\ntrained.lora.rank = 4").unwrap(), tuning);
    assert_eq!(read(&toml::to_string(&tuning).unwrap()).unwrap(), tuning);
    assert!(read("trained.lora.ranks = 4").is_err() && read("trained = 'none'").is_err());
}

/// The values of all weights by path, and the paths of those that are learned.
#[derive(Default)]
struct Weights {
    path: Vec<String>,
    all: BTreeMap<String, Vec<f64>>,
    trained: Vec<String>,
    ids: Vec<ParamId>,
    types: Vec<DType>,
}

impl ModuleVisitor for Weights {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let path = self.path.join(".");
        if param.is_require_grad() {
            self.trained.push(path.clone());
        }
        self.ids.push(param.id);
        self.types.push(param.base().dtype());
        self.all.insert(path, numbers(param.base()));
    }
}

fn weights(network: &TextClassifier) -> Weights {
    let mut weights = Weights::default();
    network.visit(&mut weights);
    weights
}

fn algorithm(name: &str) -> Algorithm {
    Algorithm::named(name).unwrap()
}

/// Some steps on the reference's texts; gives the losses too.
fn fine_tuned(network: TextClassifier, name: &str, steps: usize) -> (TextClassifier, Vec<f64>) {
    let (set, algorithm) = (set(), algorithm(name));
    let base = algorithm.base().unwrap().unwrap_or_else(|| AdamWConfig::new().init());
    let mut optimizer = SharpnessAware::new(base, algorithm.build().unwrap())
        .unwrap()
        .with_seed(0)
        .with_steps_per_epoch(1)
        .with_total_steps(steps as u64);
    let batch = set.batch(&[0, 1, 2, 3]).to_device(&device());
    let (mut network, mut losses) = (network, Vec::new());
    for _ in 0..steps {
        let of = BatchInfo::default().with_indices(&batch.indices);
        let (next, report) = optimizer
            .step_micro_batches(0.01, network, &of, |network: &TextClassifier, _, samples| {
                let (input, targets) = batch.select(samples);
                let labels = targets.labels().unwrap();
                cross_entropies(network.forward(input), labels, 0.0)
            })
            .unwrap();
        losses.extend(numbers(report.loss().clone()));
        network = next;
    }
    (network, losses)
}

#[test]
fn every_way_of_fine_tuning_learns_with_every_kind_of_algorithm() {
    let lora = LoraConfig { rank: 4, ..LoraConfig::default() };
    for trained in [Trained::All, Trained::Head, Trained::Lora(lora)] {
        for name in ["base", "sam", "arsam", "adasam", "slsam", "ausam"] {
            let (_, losses) = fine_tuned(network(trained.clone(), 1), name, 20);
            let (first, last) = (losses[0], losses[losses.len() - 1]);
            assert!(last < 0.9 * first, "{name} with {trained:?}: {losses:?}");
        }
    }
}

#[test]
fn only_what_is_trained_moves() {
    let targets = vec![Projection::Key, Projection::Contract];
    let lora = LoraConfig { rank: 2, alpha: 4.0, targets };
    let adapters = |layer| {
        ["attention.key", "contract"]
            .map(|target| format!("encoder.layers.{layer}.{target}.weight.lora"))
    };
    let adapters: Vec<String> = (0..2)
        .flat_map(adapters)
        .flat_map(|adapter| [format!("{adapter}.a"), format!("{adapter}.b")])
        .collect();
    let head = ["head.weight".to_owned(), "head.bias".to_owned()];
    for (trained, expected) in
        [(Trained::Head, head.to_vec()), (Trained::Lora(lora), [adapters, head.to_vec()].concat())]
    {
        for name in ["sam", "slsam"] {
            let before = weights(&network(trained.clone(), 3));
            assert_eq!(before.trained, expected);
            let (after, _) = fine_tuned(network(trained.clone(), 3), name, 8);
            let after = weights(&after);
            assert_eq!(after.trained, expected);
            assert!(expected.iter().any(|path| before.all[path] != after.all[path]), "{name}");
            for (path, values) in &before.all {
                let moved = *values != after.all[path];
                // SL-SAM leaves most of what is trained alone in a step.
                let idle = name == "slsam" && !moved;
                assert!(idle || moved == expected.contains(path), "{path} with {name}");
            }
        }
    }
}

#[test]
fn an_adapter_starts_as_nothing_and_is_a_function_of_the_seed() {
    let lora = || Trained::Lora(LoraConfig::default());
    let input = || set().batch(&[0, 1, 2, 3]).to_device(&device()).input;
    let (plain, adapted) = (network(Trained::All, 5), network(lora(), 5));
    assert_eq!(numbers(adapted.forward(input())), numbers(plain.forward(input())));

    let (one, same, other) =
        (weights(&adapted), weights(&network(lora(), 5)), weights(&network(lora(), 6)));
    assert_eq!(one.all, same.all);
    let a = |layer: usize, of: &str| format!("encoder.layers.{layer}.attention.{of}.weight.lora.a");
    let (query, value) = (&one.all[&a(0, "query")], &one.all[&a(0, "value")]);
    assert_eq!(query.len(), 16 * 8);
    assert!(query.iter().all(|w| w.abs() <= 0.25) && query.iter().any(|w| w.abs() > 0.2));
    assert!(
        query != value && *query != other.all[&a(0, "query")] && *query != one.all[&a(1, "query")]
    );
}

#[test]
fn an_adapted_network_goes_through_a_record_and_into_evaluation() {
    let lora = || Trained::Lora(LoraConfig::default());
    let (tuned, _) = fine_tuned(network(lora(), 1), "sam", 5);
    let input = || set().batch(&[0, 1, 2, 3]).to_device(&device()).input;
    let expected = numbers(tuned.forward(input()));
    let loaded = network(lora(), 2).load_record(tuned.clone().into_record());
    assert_eq!(numbers(loaded.forward(input())), expected);
    // Burn has one operation for a norm where there are no gradients, which rounds otherwise.
    let tuned = in_f64(tuned);
    let expected = numbers(tuned.forward(input()));
    let plain = Device::flex();
    let measured = tuned.valid().forward(set().batch(&[0, 1, 2, 3]).to_device(&plain).input);
    assert_close(&numbers(measured), &expected, TOLERANCE, "logits");
    // The adapters, merged into the weights.
    let merged = tuned.valid().materialize();
    assert_eq!(weights(&merged).all.len(), weights(&network(Trained::All, 1)).all.len());
    let merged = merged.forward(set().batch(&[0, 1, 2, 3]).to_device(&plain).input);
    assert_close(&numbers(merged), &expected, TOLERANCE, "logits");
}

/// What stands under one path of the module.
fn layers(network: &TextClassifier) -> Vec<String> {
    let parameters = Parameters::of(network).unwrap();
    let mut layers: Vec<String> = parameters
        .iter()
        .map(|parameter| parameter.path.rsplit_once('.').unwrap().0.to_owned())
        .collect();
    layers.dedup();
    layers
}

#[test]
fn trainable_modules_are_linear_maps_norms_tables_and_adapters() {
    let all = layers(&network(Trained::All, 0));
    assert_eq!(all.len(), 4 + 2 * 8 + 1);
    assert_eq!(
        all[..5],
        ["words", "positions", "types", "norm"]
            .map(|table| format!("encoder.embeddings.{table}"))
            .into_iter()
            .chain(["encoder.layers.0.attention.query".to_owned()])
            .collect::<Vec<_>>()
    );
    assert_eq!(all.last().unwrap(), "head");
    let adapters = layers(&network(Trained::Lora(LoraConfig::default()), 0));
    assert_eq!(adapters.len(), 2 * 2 + 1);
    assert_eq!(adapters[0], "encoder.layers.0.attention.query.weight.lora");
}

#[test]
fn dropout_acts_where_there_are_gradients_and_nowhere_else() {
    let tuning = FineTuning { dropout: 0.5, ..FineTuning::default() };
    let network = TextClassifier::from_folder(&tiny(), 3, &tuning, 0, &device()).unwrap();
    let (network, exact) = (in_f64(network), in_f64(self::network(Trained::All, 0)));
    let exact = numbers(exact.forward(set().batch(&[0]).to_device(&device()).input));
    let input = set().batch(&[0]).to_device(&device()).input;
    let dropped = numbers(network.forward(input));
    assert!(dropped.iter().zip(&exact).any(|(a, b)| (a - b).abs() > 0.01), "{dropped:?}");
    let plain = Device::flex();
    let input = set().batch(&[0]).to_device(&plain).input;
    assert_close(&numbers(network.valid().forward(input)), &exact, TOLERANCE, "logits");
}

/// The part of the files that spoils best: the JSON of all three.
fn spoiled() -> impl Strategy<Value = (usize, Vec<(usize, u8)>)> {
    (0..3_usize, prop::collection::vec((0..3000_usize, any::<u8>()), 1..4))
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        rng_seed: proptest::test_runner::RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_spoiled_file_gives_a_network_or_an_error((file, changes) in spoiled()) {
        let folder = copy();
        let path =
            folder.path().join(["config.json", "model.safetensors", "tokenizer.json"][file]);
        let mut bytes = fs::read(&path).unwrap();
        for (at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        fs::write(&path, bytes).unwrap();
        let _ = load(folder.path());
        if let Ok(tokenizer) = TextTokenizer::from_folder(folder.path(), 16) {
            let _ = tokenizer.encode(&[Text::from("The dogs run."), Text::from(("a", "was it?"))]);
        }
    }
}

/// The published network, where there is one: `LOWLAND_MINILM` is the folder of its files.
#[test]
fn minilm_finds_two_sentences_alike() {
    let Some(folder) = std::env::var_os("LOWLAND_MINILM").map(PathBuf::from) else {
        eprintln!("skipped: LOWLAND_MINILM names no folder with all-MiniLM-L6-v2");
        return;
    };
    let device = Device::flex();
    let tokenizer = TextTokenizer::from_folder(&folder, 128).unwrap();
    let texts = ["A man is eating food.", "A man is eating a piece of bread."].map(Text::from);
    let set = TextSet::new(&texts, vec![0, 0], classes(1), &tokenizer).unwrap();
    let tuning = FineTuning::default();
    let network = TextClassifier::from_folder(&folder, 2, &tuning, 0, &device).unwrap();
    assert_eq!(network.encoder.num_params(), 22_713_216 - 384 * 385);
    let embedded = in_f64(network).embed(set.batch(&[0, 1]).to_device(&device).input);
    let [first, second] = [0..1, 1..2].map(|row| embedded.clone().slice([row]));
    let cosine = numbers((first * second).sum())[0];
    // The reference has three digits.
    assert!((cosine - 0.755).abs() < 5e-4, "{cosine}");
}
