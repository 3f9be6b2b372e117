//! The rule's state beside Burn's checkpoints.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::optim::OptimizerRecord;
use burn::tensor::Bytes;
use burn::train::checkpoint::{Checkpointer, CheckpointerError, FileCheckpointer};
use burn_pack::Reader;

use super::metric::Link;
use crate::state::Fields;
use crate::{Error, Result};

/// Burn's checkpoints of the optimizer, `optim-EPOCH.bpk`, and with each of them the state of the
/// rule, `rule-EPOCH.bpk`: saved, loaded and deleted together.
/// [`SharpnessAwareStrategy::checkpointer`](super::SharpnessAwareStrategy::checkpointer) makes it.
pub struct RuleCheckpointer {
    optimizer: FileCheckpointer,
    directory: PathBuf,
    link: Arc<Link>,
}

impl std::fmt::Debug for RuleCheckpointer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RuleCheckpointer")
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

impl RuleCheckpointer {
    pub(super) fn new(directory: &Path, link: Arc<Link>) -> Self {
        link.lock().directory = Some(directory.to_owned());
        let optimizer = FileCheckpointer::new(directory, "optim");
        Self { optimizer, directory: directory.to_owned(), link }
    }

    /// The state at the end of an epoch.
    fn state(&self, epoch: usize) -> Result<Fields> {
        let missing = || Error::record("the rule", format!("was not kept at epoch {epoch}"));
        self.link.kept(epoch).ok_or_else(missing)?.fields()
    }
}

impl Checkpointer<OptimizerRecord> for RuleCheckpointer {
    fn save(&self, epoch: usize, record: OptimizerRecord) -> Result<(), CheckpointerError> {
        let state = self.state(epoch).map_err(unknown)?;
        let file = path(&self.directory, epoch);
        state.pack(None).write_to_file(file).map_err(unknown)?;
        self.optimizer.save(epoch, record)
    }

    fn delete(&self, epoch: usize) -> Result<(), CheckpointerError> {
        match fs::remove_file(path(&self.directory, epoch)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(CheckpointerError::IOError(error));
            }
            _ => {}
        }
        Checkpointer::<OptimizerRecord>::delete(&self.optimizer, epoch)
    }

    fn restore(&self, epoch: usize) -> Result<OptimizerRecord, CheckpointerError> {
        // The strategy reads the rule's state once training starts: Burn panics at what fails here.
        self.optimizer.restore(epoch)
    }
}

/// The state of the rule that was saved at the end of an epoch.
pub(super) fn read_state(directory: &Path, epoch: usize) -> Result<Fields> {
    let file = path(directory, epoch);
    let unfit = |problem: String| Error::record(&file.display().to_string(), problem);
    let bytes = fs::read(&file).map_err(|error| unfit(format!("cannot be read: {error}")))?;
    let length = bytes.len();
    Reader::from_bytes(Bytes::from_bytes_vec(bytes))
        .map_err(|error| unfit(format!("is damaged: {error}")))
        .and_then(|reader| Fields::unpack(reader, length))
}

fn path(directory: &Path, epoch: usize) -> PathBuf {
    directory.join(format!("rule-{epoch}.bpk"))
}

fn unknown(error: impl std::fmt::Display) -> CheckpointerError {
    CheckpointerError::Unknown(error.to_string())
}
