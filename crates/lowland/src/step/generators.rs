//! The random generators of devices. Workers that are threads may share a device, and with it its
//! generator: none of them seeds it while another draws.

use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::tensor::Device;

/// Held while a device is seeded, or seeded and drawn from.
pub(super) fn hold() -> MutexGuard<'static, ()> {
    static HELD: Mutex<()> = Mutex::new(());
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Seeds devices.
pub(super) fn seed(devices: &[Device], seed: u64) {
    let _held = hold();
    for device in devices {
        device.seed(seed);
    }
}
