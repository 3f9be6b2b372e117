//! Devices by name.

use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, OnceLock};

use anyhow::{Result, bail};
use burn::tensor::{Device, Tensor};
use lowland_tasks::spelling::did_you_mean;

use crate::failure::Usage;
use crate::words::counted;

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
/// A name that is not known, or whose backend is not built in; a device that does not answer, such
/// as one whose driver is missing.
pub(crate) fn open(name: &str) -> Result<Device> {
    let (kind, index) = name.split_once(':').unwrap_or((name, "0"));
    let Ok(index) = index.parse() else {
        bail!(Usage(format!("device {name:?} must end in a number after the colon, as in cuda:0")));
    };
    let backends = backends();
    let Some(backend) = backends.iter().find(|backend| backend.names.contains(&kind)) else {
        let known: Vec<&str> = backends.iter().map(|backend| backend.names[0]).collect();
        let near = did_you_mean(kind, known.iter().copied());
        let known = known.join(", ");
        bail!(Usage(format!("unknown device {name:?}, expected one of: {known}{near}")));
    };
    if name.contains(':') && !backend.numbered {
        bail!(Usage(format!("device {name:?} takes no number: there is one {kind}")));
    }
    match backend.open {
        Some(open) => answering(name, || open(index)),
        None => bail!(Usage(format!(
            "device {name:?} is not built in: build with --features {}",
            backend.feature
        ))),
    }
}

/// The device once it has computed a number. Backends panic where a driver or a library is missing,
/// some of them in threads of their own, which would otherwise be many lines about threads and
/// backtraces.
fn answering(name: &str, open: impl Fn() -> Device) -> Result<Device> {
    const SILENT: &str = "no reason given";
    // What a backend says first is why the rest follows.
    let said = Arc::new(OnceLock::new());
    let said_first = Arc::clone(&said);

    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        said_first.get_or_init(|| panic.payload_as_str().map_or_else(|| SILENT.to_owned(), reason));
    }));
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
        let device = open();
        let sum = Tensor::<1>::ones([3], &device).sum().try_into_scalar::<f32>();
        (device, sum)
    }));
    panic::set_hook(usual);

    let problem = match outcome {
        Ok((device, Ok(_))) => return Ok(device),
        Ok((_, Err(error))) => error.to_string(),
        Err(_) => SILENT.to_owned(),
    };
    let problem = said.get().unwrap_or(&problem);
    bail!("device {name:?} is not available: {problem}")
}

/// The part of a message that a person wants to read: not that an `unwrap` failed, nor the
/// addresses that `LibTorch` puts behind what it has to say.
fn reason(message: &str) -> String {
    let error = message.split_once("an `Err` value: ").map_or(message, |(_, error)| error);
    let error = error.strip_prefix("Torch(\"").unwrap_or(error);
    let said = error.split("\\n").next().unwrap_or(error);
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The names and descriptions of all devices, those that are not built in marked so.
pub(crate) fn list() -> Vec<(String, String)> {
    let line = |backend: Backend| {
        let missing = match backend.open {
            Some(_) => String::new(),
            None => format!(" (build with --features {})", backend.feature),
        };
        (backend.names[0].to_owned(), format!("{}{missing}", backend.description))
    };
    backends().into_iter().map(line).collect()
}

/// What runs train on, in words.
pub(crate) fn hardware(device: &str, jobs: usize) -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (arch, os) = (std::env::consts::ARCH, std::env::consts::OS);
    let at_once = match jobs {
        0 | 1 => "one run at a time".to_owned(),
        jobs => format!("{jobs} runs at a time, so that each is slower than alone"),
    };
    let cores = counted(cores, "processor core");
    format!("{cores}, {arch} {os}, device {device}, {at_once}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_backend_says_is_printed_without_what_surrounds_it() {
        let torch = "called `Result::unwrap()` on an `Err` value: Torch(\"Found no driver.\\nframe #0: c10\")";
        assert_eq!(reason(torch), "Found no driver.");
        let wgpu = "Unable to acquire device: AdapterUnavailable { message:\n  \"no adapter\" }";
        assert_eq!(
            reason(wgpu),
            "Unable to acquire device: AdapterUnavailable { message: \"no adapter\" }"
        );
    }

    #[test]
    fn a_device_that_cannot_be_opened_is_reported_in_a_line() {
        let error = answering("gpu", || panic!("no driver\n  was found")).unwrap_err();
        assert_eq!(error.to_string(), "device \"gpu\" is not available: no driver was found");
        // Nothing of it is left.
        let open = || panic::resume_unwind(Box::new(()));
        let error = answering("gpu", open).unwrap_err();
        assert_eq!(error.to_string(), "device \"gpu\" is not available: no reason given");
        assert!(answering("cpu", Device::flex).is_ok());
    }
}
