//! ARSAM on human pose: a network learns where the joints of people are, in your own loop.
//!
//! The folder holds `train.json` and `val.json`, keypoints as COCO has them, and the images that
//! they name. With a second argument, a page with what was found is written there.
//!
//! ```sh
//! cargo run --release -p lowland-examples --example human-pose -- FOLDER poses.html
//! ```

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use burn::module::Module;
use burn::optim::AdamWConfig;
use burn::optim::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use burn::tensor::Device;
use lowland::{ArsamConfig, SharpnessAware};
use lowland_tasks::data::epoch_order;
use lowland_tasks::pose::{
    CropConfig, FoundJoint, PoseConfig, PoseNet, PoseNetConfig, PoseSource, PoseSplits, Reference,
    decode, heatmap_losses, pck, picture,
};

const EPOCHS: u64 = 12;
const BATCH: usize = 16;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("the first argument is the folder of the data")?;
    let device = Device::flex().autodiff();
    // These images show one person each; the default is for those that show many.
    let crop = CropConfig { enlarge: 1.0, ..CropConfig::default() };
    let data = PoseSplits::read(Path::new(&folder), &crop)?;
    // In few epochs, less chance teaches more.
    let config = PoseConfig { scale: 0.15, rotation: 15.0, ..PoseConfig::default() };
    let preparation = config.build(&data.train)?;
    let train = PoseSource::training(Arc::new(data.train), preparation.clone(), 0)?;
    let test = PoseSource::evaluation(Arc::new(data.test), preparation)?;

    let joints = train.set().skeleton().joints().len();
    let mut model = PoseNetConfig::small().init(joints, 0, &device)?;
    let steps = train.set().len() / BATCH;
    let base = AdamWConfig::new().with_epsilon(1e-8).init(); // Burn's default is 1e-5
    let mut optimizer = SharpnessAware::new(base, ArsamConfig::default())?
        .with_seed(0)
        .with_steps_per_epoch(steps as u64);
    let all_steps = steps * usize::try_from(EPOCHS)?;
    let mut schedule = CosineAnnealingLrSchedulerConfig::new(3e-3, all_steps).init()?;

    for epoch in 0..EPOCHS {
        let mut loss = 0.0;
        for indices in epoch_order(0, epoch, train.set().len()).chunks_exact(BATCH) {
            let batch = train.prepare(epoch, indices).to_device(&device);
            let (heatmaps, weights) = (batch.heatmaps.clone(), batch.weights.clone());
            let mean_loss = |model: &PoseNet| {
                let found = model.forward(batch.images.clone());
                heatmap_losses(found, heatmaps.clone(), weights.clone()).mean()
            };
            let (next, report) = optimizer.step(schedule.step(), model, mean_loss)?;
            model = next;
            loss += report.values()?.loss / steps as f64;
        }
        let found = find(&model, &test, &device)?;
        let (skeleton, people) = (test.set().skeleton(), test.set().people());
        let correct = pck(skeleton, people, &found, Reference::Torso, 0.2)?.mean;
        let passes = optimizer.passes() / optimizer.steps() as f64;
        println!(
            "epoch {epoch}: loss {loss:.3}, PCK@0.2 {:.1} %, {passes:.2} passes per step",
            100.0 * correct
        );
    }
    if let Some(path) = arguments.next() {
        let found = find(&model, &test, &device)?;
        fs::write(path, page(&test, &found)?)?;
    }
    Ok(())
}

/// The joints of everyone in `test`.
fn find(
    model: &PoseNet,
    test: &PoseSource,
    device: &Device,
) -> Result<Vec<Vec<FoundJoint>>, Box<dyn Error>> {
    let model = model.valid();
    let device = device.clone().inner();
    let all: Vec<usize> = (0..test.set().len()).collect();
    let mut found = Vec::new();
    for indices in all.chunks(BATCH) {
        let batch = test.prepare(0, indices).to_device(&device);
        found.extend(decode(model.forward(batch.images), &batch.to_image)?);
    }
    Ok(found)
}

/// The first people as a page.
fn page(test: &PoseSource, found: &[Vec<FoundJoint>]) -> Result<String, Box<dyn Error>> {
    let mut page = "<!doctype html><meta charset=\"utf-8\"><title>Poses</title>\n\
                    <style>body{display:grid;grid-template-columns:repeat(auto-fill,15rem);gap:.5rem}</style>\n"
        .to_owned();
    for (index, joints) in found.iter().enumerate().take(24) {
        page += &picture(test.set(), index, joints)?;
    }
    Ok(page)
}
