//! Ctrl-C: the first asks the run to end in good order, the second ends it at once.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

#[cfg(unix)]
use signal_hook::consts::SIGHUP;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// What ends a run in good order: Ctrl-C, a polite request, a terminal that is closed.
#[cfg(unix)]
const SIGNALS: [i32; 3] = [SIGINT, SIGTERM, SIGHUP];
#[cfg(not(unix))]
const SIGNALS: [i32; 2] = [SIGINT, SIGTERM];

/// Whether the run was asked to end, and by which signal.
#[derive(Debug, Clone)]
pub(crate) struct Interrupt(Arc<AtomicUsize>);

impl Interrupt {
    /// Starts to listen for Ctrl-C and for requests to terminate. Once a process.
    pub(crate) fn listen() -> Self {
        // 128 and the number of the signal.
        let code = |number: i32| usize::try_from(128 + number).unwrap_or(130);
        let asked = Arc::new(AtomicBool::new(false));
        let signal = Arc::new(AtomicUsize::new(0));
        for number in SIGNALS {
            // In this order: what a signal does depends on the flag as the one before it left it.
            let listening =
                flag::register_conditional_shutdown(number, 128 + number, asked.clone())
                    .and_then(|_| flag::register_usize(number, signal.clone(), code(number)))
                    .and_then(|_| flag::register(number, asked.clone()));
            if let Err(error) = listening {
                tracing::warn!(%error, number, "a signal will end the run at once: it cannot be listened for");
            }
        }
        Self(signal)
    }

    /// Breaks where the run was asked to end, with the conventional exit code: 128 and the number
    /// of the signal.
    pub(crate) fn check(&self) -> ControlFlow<u8> {
        match u8::try_from(self.0.load(Ordering::SeqCst)) {
            Ok(0) | Err(_) => ControlFlow::Continue(()),
            Ok(code) => ControlFlow::Break(code),
        }
    }

    /// Breaks where the run was asked to end.
    pub(crate) fn flow(&self) -> ControlFlow<()> {
        match self.check() {
            ControlFlow::Continue(()) => ControlFlow::Continue(()),
            ControlFlow::Break(_) => ControlFlow::Break(()),
        }
    }

    /// The exit code of a program that was asked to end: that of Ctrl-C where it was not.
    pub(crate) fn code(&self) -> u8 {
        match self.check() {
            ControlFlow::Continue(()) => 130,
            ControlFlow::Break(code) => code,
        }
    }
}
