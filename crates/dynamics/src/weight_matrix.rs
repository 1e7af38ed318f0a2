//! A matrix of effective weights, with its margin and accuracy.

use crate::mean;
use retrodict_facts::EntityType;
use thiserror::Error;

/// Values that do not fill a square matrix of the candidates.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{values} values for {candidates} candidates, but a weight matrix has \
     one row and one column for each candidate"
)]
pub struct NotSquare {
    /// The number of values.
    pub values: usize,
    /// The number of candidates.
    pub candidates: usize,
}

/// Logits `[source, candidate]` of one group of queries (paper, section 5, "Effective weights"): a
/// row for each source and a column for each answer of the group, in the same order. The diagonal
/// holds the right answers.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightMatrix {
    values: Vec<f32>,
    types: Vec<EntityType>,
}

impl WeightMatrix {
    /// A matrix of `values` in row-major order, and the type of each column's candidate.
    ///
    /// # Errors
    /// [`NotSquare`] unless there are as many values as pairs of candidates.
    pub fn new(values: Vec<f32>, types: Vec<EntityType>) -> Result<Self, NotSquare> {
        let candidates = types.len();
        if candidates.checked_mul(candidates) != Some(values.len()) {
            return Err(NotSquare { values: values.len(), candidates });
        }
        Ok(Self { values, types })
    }

    /// The number of rows, which equals that of columns.
    pub fn size(&self) -> usize {
        self.types.len()
    }

    /// All logits, row-major: `[source, candidate]`.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The type of each candidate, column by column.
    pub fn types(&self) -> &[EntityType] {
        &self.types
    }

    /// The logits after each source, one for each candidate.
    pub fn rows(&self) -> impl Iterator<Item = &[f32]> {
        // An empty matrix has no rows, whatever their length.
        self.values.chunks_exact(self.size().max(1))
    }

    /// The **margin**: the mean over rows i of
    ///
    /// w(i, i) − mean of w(i, j) over the j ≠ i whose candidate is of the type of i's,
    ///
    /// the right answer's logit minus the mean of its rivals'. Other types do not count: to know
    /// *which type* comes next is not to know *which entity*. Rows without rivals are excluded;
    /// `None` if no row is left. A NaN logit among those compared makes the margin NaN.
    pub fn margin(&self) -> Option<f64> {
        mean(self.contests().map(|contest| {
            let rivals = contest.rivals();
            contest.right() - rivals.clone().sum::<f64>() / rivals.count() as f64
        }))
    }

    /// The rows in which the right answer has rivals.
    fn contests(&self) -> impl Iterator<Item = Contest<'_>> {
        let contest = |(answer, row)| Contest { row, types: &self.types, answer };
        self.rows().enumerate().map(contest).filter(|contest| contest.rivals().next().is_some())
    }
}

/// One row: the right answer, and its rivals of the same type.
struct Contest<'a> {
    row: &'a [f32],
    types: &'a [EntityType],
    answer: usize,
}

impl Contest<'_> {
    fn right(&self) -> f64 {
        f64::from(self.row[self.answer])
    }

    fn rivals(&self) -> impl Iterator<Item = f64> + Clone {
        let answer = self.answer;
        let rival =
            move |&column: &usize| column != answer && self.types[column] == self.types[answer];
        (0..self.row.len()).filter(rival).map(|column| f64::from(self.row[column]))
    }
}

#[cfg(test)]
mod tests {
    use super::{NotSquare, WeightMatrix};
    use retrodict_facts::EntityType::{self, X, Y, Z};

    fn matrix<const N: usize>(rows: [[f32; N]; N], types: [EntityType; N]) -> WeightMatrix {
        WeightMatrix::new(rows.concat(), types.to_vec()).unwrap()
    }

    #[test]
    fn a_diagonal_stands_out_by_its_height() {
        let weights = matrix([[9.0, 1.0, 1.0], [1.0, 9.0, 1.0], [1.0, 1.0, 9.0]], [Y; 3]);
        assert_eq!(weights.margin(), Some(8.0));
    }

    #[test]
    fn the_margin_is_a_mean_of_rows_and_of_rivals() {
        // 6 − (1 + 3)/2 = 4, −1 − (0 + 4)/2 = −3, 2 − (2 + 1)/2 = 0.5
        let weights = matrix([[6.0, 1.0, 3.0], [0.0, -1.0, 4.0], [2.0, 1.0, 2.0]], [Y; 3]);
        assert_eq!(weights.margin(), Some(0.5));
        // The third row is a tie.
    }

    #[test]
    fn a_logit_shared_by_all_candidates_has_no_margin() {
        let weights = matrix([[-2.5; 4]; 4], [X, X, Y, Y]);
        assert_eq!(weights.margin(), Some(0.0));
    }

    #[test]
    fn other_types_are_no_rivals() {
        let far = [50.0, -70.0];
        let [high, low] = far;
        let weights = matrix(
            [
                [3.0, 1.0, high, low],
                [1.0, 3.0, low, high],
                [high, low, 5.0, 1.0],
                [low, high, 1.0, 5.0],
            ],
            [Y, Y, X, X],
        );
        assert_eq!(weights.margin(), Some(3.0));
    }

    #[test]
    fn the_order_of_pairs_does_not_matter() {
        let weights = matrix([[3.0, 9.0, 1.0], [7.0, 4.0, 8.0], [0.5, 6.0, 2.0]], [Y, X, Y]);
        let moved = matrix([[4.0, 8.0, 7.0], [6.0, 2.0, 0.5], [9.0, 1.0, 3.0]], [X, Y, Y]);
        assert_eq!(weights.margin(), Some((2.0 + 1.5) / 2.0));
        assert_eq!(weights.margin(), moved.margin());
    }

    #[test]
    fn a_row_without_rivals_is_left_out() {
        let weights = matrix([[3.0, 1.0, 0.0], [1.0, 3.0, 0.0], [0.0, 0.0, 99.0]], [Y, Y, Z]);
        assert_eq!(weights.margin(), Some(2.0));

        let strangers = matrix([[1.0, 0.0], [0.0, 1.0]], [X, Y]);
        assert_eq!(strangers.margin(), None);
        assert_eq!(matrix([[1.0]], [X]).margin(), None);
        assert_eq!(matrix([], []).margin(), None);
    }

    #[test]
    fn a_diverged_model_does_not_look_right() {
        let weights = matrix([[f32::NAN, 1.0], [1.0, f32::NAN]], [Y; 2]);
        assert!(weights.margin().unwrap().is_nan());
    }

    #[test]
    fn values_must_fill_a_square() {
        let error = WeightMatrix::new(vec![0.0; 5], vec![X; 2]).unwrap_err();
        assert_eq!(error, NotSquare { values: 5, candidates: 2 });
        let square = WeightMatrix::new(vec![0.0, 1.0, 2.0, 3.0], vec![X; 2]).unwrap();
        assert_eq!(square.rows().collect::<Vec<_>>(), [[0.0, 1.0], [2.0, 3.0]]);
        assert_eq!(matrix([], []).rows().count(), 0);
    }
}
