//! Human pose in a training loop of one's own: a network learns where the joints of people are.
//!
//! The folder holds `train.json`, `val.json` (COCO keypoints) and the images that they name.
//!
//! ```sh
//! cargo run --release -p lowland-examples --example human-pose -- FOLDER arsam
//! ```

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use burn::module::Module;
use burn::optim::AdamWConfig;
use burn::optim::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use burn::tensor::Device;
use lowland::{ArsamConfig, BaseConfig, Config, SamConfig, Samples, SharpnessAware};
use lowland_tasks::data::epoch_order;
use lowland_tasks::pose::{
    CropConfig, FoundJoint, PoseConfig, PoseModelName, PoseNet, PoseSource, PoseSplits, Reference,
    average_precision, decode, heatmap_losses, joint_sigmas, pck, picture,
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let variable =
        |name: &str, default: f64| std::env::var(name).ok().map_or(default, |v| v.parse().unwrap());
    let folder = PathBuf::from(&arguments[0]);
    let device = Device::flex().autodiff();
    let start = Instant::now();
    let crop = CropConfig { enlarge: 1.0, ..CropConfig::default() };
    let mut splits = PoseSplits::read(&folder, &crop)?;
    if std::env::var("SAME").is_ok() {
        splits.test = splits.train.first(variable("LIMIT", 64.0) as usize)?;
    }
    println!("read in {:?}", start.elapsed());
    let side = variable("SIDE", 64.0) as usize;
    let config = PoseConfig {
        height: side,
        width: side,
        sigma: variable("SIGMA", 1.0),
        flip: variable("FLIP", 1.0) > 0.0,
        scale: variable("SCALE", 0.25),
        rotation: variable("ROT", 30.0),
        ..PoseConfig::default()
    };
    let preparation = config.build(&splits.train)?;
    let joints = splits.train.skeleton().joints().len();
    let train = PoseSource::training(Arc::new(splits.train), preparation.clone(), 0)?;
    let test = PoseSource::evaluation(Arc::new(splits.test), preparation)?;

    let mut net = PoseModelName::Small.config();
    net.width = variable("WIDTH", net.width as f64) as usize;
    net.head = variable("HEAD", net.head as f64) as usize;
    if let Ok(blocks) = std::env::var("BLOCKS") {
        net.blocks = blocks.split(',').map(|b| b.parse().unwrap()).collect();
    }
    let mut model = net.init(joints, 0, &device)?;
    println!("{net:?} {} numbers", model.num_params());
    let base = AdamWConfig::new().with_weight_decay(1e-4).init();
    let batch_size = variable("BATCH", 32.0) as usize;
    let epochs = variable("EPOCHS", 5.0) as u64;
    let limit = variable("LIMIT", 1e9) as usize;
    let count = train.set().len().min(limit);
    let steps = count / batch_size;
    let mut optimizer = match arguments[1].as_str() {
        "base" => SharpnessAware::new(base, BaseConfig::default().build()?),
        "sam" => SharpnessAware::new(
            base,
            SamConfig { rho: variable("RHO", 0.05), ..SamConfig::default() }.build()?,
        ),
        _ => SharpnessAware::new(
            base,
            ArsamConfig { rho: variable("RHO", 0.05), ..ArsamConfig::default() }.build()?,
        ),
    }
    .with_seed(0)
    .with_steps_per_epoch(steps as u64);
    let mut schedule =
        CosineAnnealingLrSchedulerConfig::new(variable("LR", 1e-3), steps * epochs as usize)
            .init()?;
    measure(&model, &test, &device)?;

    for epoch in 0..epochs {
        let start = Instant::now();
        let (mut loss, mut preparing) = (0.0, 0.0);
        let order = epoch_order(0, epoch, count);
        for indices in order.chunks_exact(batch_size) {
            let before = Instant::now();
            let batch = train.prepare(epoch, indices).to_device(&device);
            preparing += before.elapsed().as_secs_f64();
            let losses = |model: &PoseNet, samples: &Samples| {
                let (images, heatmaps, weights) = batch.select(samples);
                heatmap_losses(model.forward(images), heatmaps, weights) // [samples]
            };
            let (next, report) = optimizer.step(schedule.step(), model, losses)?;
            model = next;
            loss += report.values()?.loss / steps as f64;
        }
        println!(
            "epoch {epoch}: loss {loss:.5} in {:.1} s, preparing {preparing:.1}, passes {:.2}",
            start.elapsed().as_secs_f64(),
            optimizer.passes() / optimizer.steps() as f64
        );
        if (epoch + 1) % variable("EVERY", 1.0) as u64 == 0 {
            measure(&model, &test, &device)?;
        }
    }
    let found = measure(&model, &test, &device)?;
    if let Ok(path) = std::env::var("PICTURES") {
        let mut html = String::from("<body style=\"background:#888;margin:4px\">");
        for index in 0..24 {
            html += &format!(
                "<div style=\"display:inline-block;width:240px;margin:2px\">{}</div>",
                picture(test.set(), index * 7, &found[index * 7])?
            );
        }
        fs::write(path, html)?;
    }
    Ok(())
}

fn measure(
    model: &PoseNet,
    test: &PoseSource,
    device: &Device,
) -> Result<Vec<Vec<FoundJoint>>, Box<dyn Error>> {
    let start = Instant::now();
    let model = model.valid();
    let device = device.clone().inner();
    let mut found = Vec::new();
    let all: Vec<usize> = (0..test.set().len()).collect();
    for indices in all.chunks(64) {
        let batch = test.prepare(0, indices).to_device(&device);
        found.extend(decode(model.forward(batch.images), &batch.to_image)?);
    }
    let (skeleton, people) = (test.set().skeleton(), test.set().people());
    let pck2 = pck(skeleton, people, &found, Reference::Torso, 0.2)?;
    let joints: Vec<String> = skeleton
        .joints()
        .iter()
        .zip(&pck2.joints)
        .map(|(n, j)| format!("{n} {:.2}", j.unwrap_or(f64::NAN)))
        .collect();
    let ap = average_precision(people, &found, &joint_sigmas(skeleton))?;
    println!(
        "   PCK@0.2 {:.3}, AP {:.3} {:.3} {:.3} in {:?} {}",
        pck2.mean,
        ap.mean,
        ap.at_50,
        ap.at_75,
        start.elapsed(),
        joints.join(" ")
    );
    Ok(found)
}
