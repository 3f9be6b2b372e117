//! A binary with feature `tch` looks for LibTorch where it was built with it.
//!
//! torch-sys links against the library and leaves it to the environment where it is found at run
//! time; then a binary that does not find it does not even print its help.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    for name in ["LIBTORCH", "LIBTORCH_LIB", "LIBTORCH_USE_PYTORCH"] {
        println!("cargo:rerun-if-env-changed={name}");
    }
    let unix = env::var_os("CARGO_CFG_UNIX").is_some();
    if env::var_os("CARGO_FEATURE_TCH").is_none() || !unix {
        return;
    }
    if let Some(folder) = libraries() {
        println!("cargo:rustc-link-arg-bins=-Wl,-rpath,{}", folder.display());
    }
}

/// The folder of the libraries, by the rules of torch-sys.
fn libraries() -> Option<PathBuf> {
    if env::var_os("LIBTORCH_USE_PYTORCH").is_some() {
        let script =
            "import os, torch; print(os.path.join(os.path.dirname(torch.__file__), 'lib'))";
        let output = Command::new("python3").args(["-c", script]).output().ok()?;
        let printed = String::from_utf8(output.stdout).ok()?;
        let folder = printed.trim();
        return (output.status.success() && !folder.is_empty()).then(|| PathBuf::from(folder));
    }
    let folder = env::var_os("LIBTORCH_LIB").or_else(|| env::var_os("LIBTORCH"))?;
    Some(Path::new(&folder).join("lib"))
}
