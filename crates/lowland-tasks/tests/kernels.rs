//! Networks train through the kernels, not beside them.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use burn::tensor::{Device, Distribution, Tensor};
use lowland_kernels::calls::{Kernel, calls};
use lowland_tasks::models::ModelName;

fn ran(name: ModelName, kernels: &[Kernel]) {
    let device = Device::flex().autodiff();
    let model = name.init(10, 3, 0, &device).unwrap();
    let images = Tensor::random([8, 3, 32, 32], Distribution::Default, &device);
    let before: Vec<u64> = kernels.iter().map(|&kernel| calls(kernel)).collect();
    let _ = model.forward(images).sum().backward();
    for (&kernel, before) in kernels.iter().zip(before) {
        assert!(calls(kernel) > before, "{kernel:?} did not run");
    }
}

#[test]
fn convolutional_networks_train_through_the_kernels() {
    let kernels = [
        Kernel::Convolution,
        Kernel::ConvolutionInput,
        Kernel::ConvolutionWeight,
        Kernel::BatchNorm,
        Kernel::BatchNormGradients,
    ];
    for name in [ModelName::SmallCnn, ModelName::ResNet20] {
        ran(name, &kernels);
    }
}

#[test]
fn the_vision_transformer_trains_through_the_kernels() {
    let kernels = [
        Kernel::Gelu,
        Kernel::GeluGradient,
        Kernel::Linear,
        Kernel::LinearInput,
        Kernel::LinearWeight,
        Kernel::Attention,
        Kernel::AttentionGradients,
        Kernel::LayerNorm,
        Kernel::LayerNormGradients,
    ];
    ran(ModelName::Vit, &kernels);
}
