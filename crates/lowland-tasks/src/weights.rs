//! Weights from files, whoever wrote them, and weights for readers elsewhere.
//!
//! [`parse`] reads Burn's records (`.bpk`), SafeTensors and the files of `torch.save`, of which no
//! code is run. A network takes those that are its own by their [`Names`]; what does not fit is an
//! error that says what is there, what was expected and what to do. [`to_safetensors`] writes what
//! PyTorch's `load_state_dict` takes.

mod export;
mod loading;
mod names;
mod pth;
mod stored;
mod write;

pub use export::{Export, MODEL, WRITTEN_BY};
pub(crate) use loading::{Head, load};
pub use names::Names;
pub(crate) use stored::is_lowlands;
pub use stored::{Stored, parse};
pub use write::to_safetensors;
