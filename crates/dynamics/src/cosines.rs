//! Cosine similarities between embeddings: the theory assumes them near zero.

/// The most vectors that are all compared; of more, this many evenly spaced ones are.
const MOST_COMPARED: usize = 4096;

/// The mean absolute cosine similarity of two different vectors of `vectors` (paper, section 5,
/// embedding orthogonality). Of more than 4,096 vectors, 4,096 evenly spaced ones are compared.
/// Independent random directions in d dimensions have √(2/(πd)) for large d. `None` for fewer than
/// two vectors.
///
/// # Panics
/// If vectors differ in length.
pub fn mean_absolute_cosine(vectors: &[Vec<f64>]) -> Option<f64> {
    let spread = evenly_spread(vectors.len(), MOST_COMPARED);
    let units: Vec<_> = spread.into_iter().map(|at| unit(&vectors[at])).collect();
    let pairs = units.len() * units.len().saturating_sub(1) / 2;
    let of_row =
        |(at, a): (usize, &Vec<f64>)| units[at + 1..].iter().map(|b| dot(a, b).abs()).sum::<f64>();
    (pairs > 0).then(|| units.iter().enumerate().map(of_row).sum::<f64>() / pairs as f64)
}

/// The cosine similarities of all pairs, `[vector, vector]`, row-major. A zero vector has
/// similarity 0 with every vector.
///
/// # Panics
/// If vectors differ in length.
pub fn cosines(vectors: &[Vec<f64>]) -> Vec<f64> {
    let units: Vec<_> = vectors.iter().map(|vector| unit(vector)).collect();
    units.iter().flat_map(|a| units.iter().map(|b| dot(a, b))).collect()
}

/// At most `most` evenly spaced indices below `n`, ascending; all of them if there are no more.
pub fn evenly_spread(n: usize, most: usize) -> Vec<usize> {
    let shown = n.min(most);
    (0..shown).map(|i| i * n / shown).collect()
}

fn unit(vector: &[f64]) -> Vec<f64> {
    let length = dot(vector, vector).sqrt();
    if length == 0.0 {
        return vec![0.0; vector.len()];
    }
    vector.iter().map(|x| x / length).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len(), "vectors of one length");
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

#[cfg(test)]
mod tests {
    use super::{cosines, evenly_spread, mean_absolute_cosine};

    #[test]
    fn angles_of_known_vectors() {
        let vectors = [vec![2.0, 0.0], vec![0.0, -3.0], vec![-5.0, 5.0], vec![0.0, 0.0]];
        let r = 0.5_f64.sqrt();
        let expected =
            [[1.0, 0.0, -r, 0.0], [0.0, 1.0, -r, 0.0], [-r, -r, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]];
        for (found, right) in cosines(&vectors).iter().zip(expected.concat()) {
            assert!((found - right).abs() < 1e-15, "{found}, not {right}");
        }
        // Of three pairs: 0, √½ and √½.
        let mean = mean_absolute_cosine(&vectors[..3]).unwrap();
        assert!((mean - 2.0 * r / 3.0).abs() < 1e-15, "{mean}");
    }

    #[test]
    fn too_few_have_no_mean() {
        assert_eq!(mean_absolute_cosine(&[]), None);
        assert_eq!(mean_absolute_cosine(&[vec![1.0]]), None);
        assert_eq!(mean_absolute_cosine(&[vec![1.0], vec![-2.0]]), Some(1.0));
    }

    #[test]
    fn a_diverged_model_has_no_cosine() {
        assert!(mean_absolute_cosine(&[vec![1.0], vec![f64::NAN]]).unwrap().is_nan());
    }

    #[test]
    fn a_sample_is_spread_and_everything_if_it_may_be() {
        assert_eq!(evenly_spread(5, 100), [0, 1, 2, 3, 4]);
        assert_eq!(evenly_spread(10, 4), [0, 2, 5, 7]);
        assert_eq!(evenly_spread(0, 4), []);
        assert_eq!(evenly_spread(7, 0), []);
    }
}
