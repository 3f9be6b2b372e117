//! The eigenvalues and eigenvectors of the small matrices that Lanczos makes.

use nalgebra::{DMatrix, SymmetricEigen};

use crate::{Error, Result};

/// An eigenvalue of a small matrix, and its eigenvector of unit length.
pub(super) struct Pair {
    pub(super) value: f64,
    pub(super) vector: Vec<f64>,
}

/// All eigenpairs of the symmetric matrix with `diagonal`, and with `off_diagonal` beside it, by
/// rising eigenvalue.
pub(super) fn eigenpairs(diagonal: &[f64], off_diagonal: &[f64]) -> Result<Vec<Pair>> {
    // The solver would search for ever in what is not a number.
    if diagonal.iter().chain(off_diagonal).any(|value| !value.is_finite()) {
        return Err(Error::NotFinite("a product with the Hessian"));
    }
    let n = diagonal.len();
    if n == 0 {
        return Ok(Vec::new());
    }
    let mut matrix = DMatrix::from_diagonal(&diagonal.to_vec().into());
    for (i, &value) in off_diagonal.iter().enumerate().take(n - 1) {
        matrix[(i, i + 1)] = value;
        matrix[(i + 1, i)] = value;
    }
    // Two or three iterations an eigenvalue are usual.
    let solved = SymmetricEigen::try_new(matrix, f64::EPSILON, 100 * n);
    let solved = solved.ok_or(Error::NotFinite("an eigenvalue of the Lanczos matrix"))?;
    let mut pairs: Vec<Pair> = (0..n)
        .map(|i| Pair {
            value: solved.eigenvalues[i],
            vector: solved.eigenvectors.column(i).iter().copied().collect(),
        })
        .collect();
    pairs.sort_by(|a, b| a.value.total_cmp(&b.value));
    Ok(pairs)
}
