//! Where labelled texts come from.

use std::path::Path;

use super::columns::{Columns, TextColumns};
use super::corpus::{Classes, Reader, TextCorpus};
use super::files::USUAL;
use super::{GlueTask, Metric};
use crate::Result;
use crate::data::files::require_folder;

/// The files of a folder with your own texts, for messages.
pub(crate) const EXPECTED_FILES: &str = "train and test (or val, valid, dev), each .tsv, .csv or .jsonl with columns of texts and labels";

/// Where texts come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TextKind {
    /// A task of GLUE.
    Glue(GlueTask),
    /// Your own tables.
    Own,
}

impl TextKind {
    /// Reads the texts of a folder.
    ///
    /// # Errors
    /// [`Error::Missing`](crate::Error::Missing) if the folder or one of its files is not there,
    /// [`Error::File`](crate::Error::File) if one cannot be read,
    /// [`Error::Line`](crate::Error::Line) with the place of what is not as the format has it, and
    /// [`Error::DamagedData`](crate::Error::DamagedData) for lines that do not fit, unless these
    /// are to be skipped; [`Error::Setting`](crate::Error::Setting) for one column that is to be
    /// two.
    pub fn corpus(
        self,
        folder: &Path,
        columns: &TextColumns,
        skip_damaged: bool,
    ) -> Result<TextCorpus> {
        match self {
            Self::Glue(task) => task.corpus(folder, skip_damaged),
            Self::Own => {
                require_folder(folder, EXPECTED_FILES)?;
                let reader = Reader {
                    folder,
                    layout: USUAL,
                    columns: columns.wanted()?,
                    classes: Classes::Found,
                    skip_damaged,
                    expected: EXPECTED_FILES,
                };
                let (corpus, taken) = reader.read()?;
                let mut remarks = vec![format!("the columns taken are {}", taken.join(", "))];
                remarks.extend(corpus.remarks);
                Ok(TextCorpus { remarks, ..corpus })
            }
        }
    }

    /// The columns of texts that are to be read as those were that had the columns `taken` where
    /// the columns `given` were asked for.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) for one column that is to be two.
    pub(crate) fn columns_of_inputs(
        self,
        given: &TextColumns,
        taken: &TextColumns,
    ) -> Result<Columns> {
        let columns = match self {
            Self::Glue(task) => task.columns_of_inputs(),
            Self::Own => given.wanted()?,
        };
        Ok(columns.of_inputs(taken))
    }

    /// What the classification of the texts is measured by; `None` where numbers are looked for.
    pub fn metric(self) -> Option<Metric> {
        match self {
            Self::Glue(task) => task.metric(),
            Self::Own => Some(Metric::Accuracy),
        }
    }
}
