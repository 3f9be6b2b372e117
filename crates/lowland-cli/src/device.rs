//! Devices by name.

use anyhow::{Result, bail};
use burn::tensor::Device;

use crate::failure::Usage;

/// A backend that can be built in, and the device names that choose it.
struct Backend {
    names: &'static [&'static str],
    feature: &'static str,
    /// Whether a number after a colon picks one of several.
    numbered: bool,
    description: &'static str,
    open: Option<fn(usize) -> Device>,
}

/// `Some` where the feature is on.
macro_rules! built_in {
    ($feature:literal, $open:expr) => {{
        #[cfg(feature = $feature)]
        let open: Option<fn(usize) -> Device> = Some($open);
        #[cfg(not(feature = $feature))]
        let open: Option<fn(usize) -> Device> = None;
        open
    }};
}

fn backends() -> Vec<Backend> {
    vec![
        Backend {
            names: &["cpu", "flex"],
            feature: "flex",
            numbered: false,
            description: "Burn's own CPU backend",
            open: built_in!("flex", |_| Device::flex()),
        },
        Backend {
            names: &["tch"],
            feature: "tch",
            numbered: false,
            description: "LibTorch on the CPU",
            open: built_in!("tch", |_| Device::libtorch()),
        },
        Backend {
            names: &["tch-cuda"],
            feature: "tch",
            numbered: true,
            description: "LibTorch on an NVIDIA GPU",
            open: built_in!("tch", Device::libtorch_cuda),
        },
        Backend {
            names: &["cuda"],
            feature: "cuda",
            numbered: true,
            description: "an NVIDIA GPU",
            open: built_in!("cuda", Device::cuda),
        },
        Backend {
            names: &["rocm"],
            feature: "rocm",
            numbered: true,
            description: "an AMD GPU",
            open: built_in!("rocm", Device::rocm),
        },
        Backend {
            names: &["wgpu"],
            feature: "wgpu",
            numbered: false,
            description: "the best GPU that WebGPU finds",
            open: built_in!("wgpu", |_| Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
        },
        Backend {
            names: &["vulkan"],
            feature: "vulkan",
            numbered: false,
            description: "the best GPU that Vulkan finds",
            open: built_in!("vulkan", |_| Device::vulkan(burn::tensor::DeviceKind::DefaultDevice)),
        },
        Backend {
            names: &["metal"],
            feature: "metal",
            numbered: false,
            description: "the best GPU that Metal finds",
            open: built_in!("metal", |_| Device::metal(burn::tensor::DeviceKind::DefaultDevice)),
        },
    ]
}

/// The device of a name such as `cpu`, `cuda` or `cuda:1`.
///
/// # Errors
/// A name that is not known, or whose backend is not built in.
pub fn open(name: &str) -> Result<Device> {
    let (kind, index) = name.split_once(':').unwrap_or((name, "0"));
    let Ok(index) = index.parse() else {
        bail!(Usage(format!("device {name:?} must end in a number after the colon, as in cuda:0")));
    };
    let backends = backends();
    let Some(backend) = backends.iter().find(|backend| backend.names.contains(&kind)) else {
        let known: Vec<&str> = backends.iter().map(|backend| backend.names[0]).collect();
        bail!(Usage(format!("unknown device {name:?}, expected one of: {}", known.join(", "))));
    };
    if name.contains(':') && !backend.numbered {
        bail!(Usage(format!("device {name:?} takes no number: there is one {kind}")));
    }
    match backend.open {
        Some(open) => Ok(open(index)),
        None => bail!(Usage(format!(
            "device {name:?} is not built in: build with --features {}",
            backend.feature
        ))),
    }
}

/// The names and descriptions of all devices, those that are not built in marked so.
pub fn list() -> Vec<(String, String)> {
    let line = |backend: Backend| {
        let missing = match backend.open {
            Some(_) => String::new(),
            None => format!(" (build with --features {})", backend.feature),
        };
        (backend.names[0].to_owned(), format!("{}{missing}", backend.description))
    };
    backends().into_iter().map(line).collect()
}
