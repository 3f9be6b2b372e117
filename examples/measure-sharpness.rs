//! How flat the place is where a network ended: trained with SGD and with SAM, then measured.
//!
//! ```sh
//! cargo run --release -p lowland-examples --example measure-sharpness
//! ```

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;

use burn::tensor::Device;
use lowland::sharpness::{
    EigenvaluesConfig, LargestRiseConfig, LossSurface, SurfaceConfig, TraceConfig, eigenvalues,
    largest_rise, trace, uninterrupted,
};
use lowland::{Algorithm, BaseConfig, SamConfig, Samples};
use lowland_tasks::config::{DataConfig, TrainConfig};
use lowland_tasks::data::{BatchConfig, Loader};
use lowland_tasks::models::Model;
use lowland_tasks::task::{Learning, Split};
use lowland_tasks::train::{Data, Training};

fn main() -> Result<(), Box<dyn Error>> {
    let device = Device::flex();
    for algorithm in [Algorithm::Base(BaseConfig {}), Algorithm::Sam(SamConfig { rho: 0.2 })] {
        let data =
            DataConfig { label_noise: 0.3, train_limit: Some(1000), ..DataConfig::default() };
        let config = TrainConfig { epochs: 8, algorithm, data, ..TrainConfig::default() };
        let data = Data::load(&config)?;
        let mut training = Training::new(&config, &data, &device)?;
        while training.advance()?.is_some() {}

        // The loss on the first 500 training images, as a function of the weights.
        let batches = BatchConfig { batch_size: 250, ..BatchConfig::default() };
        let images = Loader::to_measure(data.task().to_measure(Split::Train, 500)?, batches)?;
        let on_device = device.clone().autodiff();
        let held: Vec<_> = images.epoch(0).map(|batch| batch.to_device(&on_device)).collect();
        let losses =
            |model: &Model, i: usize| held[i].losses(model, &Samples::All, Learning::default()); // [samples]
        let settings = SurfaceConfig::default();
        let mut surface = LossSurface::new(training.model()?, &[250, 250], &settings, losses)?;

        let lanczos = EigenvaluesConfig { steps: 15, ..EigenvaluesConfig::default() };
        let sharpest = eigenvalues(&mut surface, &lanczos, uninterrupted)?;
        let probes = TraceConfig { probes: 10, ..TraceConfig::default() };
        let trace = trace(&mut surface, &probes, uninterrupted)?.total;
        let ascent = LargestRiseConfig { steps: 3, ..LargestRiseConfig::default() };
        let rise = largest_rise(&mut surface, &ascent, uninterrupted)?.rise;
        println!(
            "{:4} largest eigenvalue {:6.2} ± {:.2}, trace {:6.1}, the loss rises by {rise:.4} within 0.05",
            config.algorithm_label(),
            sharpest.pairs[0].value,
            sharpest.pairs[0].measured_residual,
            trace.mean,
        );
    }
    Ok(())
}
