//! The integrator of both models' gradient flows: Dormand and Prince's explicit method of
//! order 8(5,3), from the crate `differential-equations`, over rows of numbers.

use differential_equations::error::Error;
use differential_equations::tolerance::Tolerance;
use differential_equations::traits::State;
use rayon::prelude::*;
use retrodict_engine::{Isa, rows};

use crate::matrix::Threads;

/// The integrator's vector. A step is repeated, shorter, until the error of *every* row, in its
/// Euclidean norm, is estimated below the tolerance: an average over rows would hide the one that
/// is learned last.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    /// `[row, columns]`.
    pub(crate) values: Vec<f64>,
    pub(crate) columns: usize,
    pub(crate) threads: Threads,
}

/// An error of the integrator, in words.
pub(crate) fn reason(error: &Error<f64, Rows>) -> &'static str {
    match error {
        Error::MaxSteps { .. } => "too many steps",
        Error::StepSize { .. } => "steps became too small",
        Error::Stiffness { .. } => "it is stiff there",
        _ => "the integrator failed",
    }
}

impl Rows {
    fn part(&self) -> usize {
        self.values.len().div_ceil(self.threads.count()).max(1)
    }
}

impl State<f64> for Rows {
    fn len(&self) -> usize {
        self.values.len()
    }

    fn get_component(&self, index: usize) -> f64 {
        self.values[index]
    }

    fn set_component(&mut self, index: usize, value: f64) {
        self.values[index] = value;
    }

    fn map_components_mut<F: FnMut(usize, &mut f64)>(&mut self, mut f: F) {
        self.values.iter_mut().enumerate().for_each(|(index, value)| f(index, value));
    }

    fn zeros_like(&self) -> Self {
        Rows { values: vec![0.0; self.values.len()], ..*self }
    }

    fn zeros() -> Self {
        Rows { values: Vec::new(), columns: 1, threads: Threads::One }
    }

    fn mul_add_assign(&mut self, alpha: f64, other: &Self) {
        self.add_scaled(alpha, other);
    }

    fn add_scaled(&mut self, alpha: f64, other: &Self) -> &mut Self {
        // Half of the method's coefficients are zero.
        if alpha == 0.0 {
            return self;
        }
        let (isa, part) = (Isa::detect(), self.part());
        match self.threads {
            Threads::One => rows::add_scaled(isa, alpha, &other.values, &mut self.values),
            Threads::All => self
                .values
                .par_chunks_mut(part)
                .zip(other.values.par_chunks(part))
                .for_each(|(values, other)| rows::add_scaled(isa, alpha, other, values)),
        }
        self
    }

    fn scale_mut(&mut self, alpha: f64) {
        let scale = |values: &mut [f64]| values.iter_mut().for_each(|value| *value *= alpha);
        let part = self.part();
        match self.threads {
            Threads::One => scale(&mut self.values),
            Threads::All => self.values.par_chunks_mut(part).for_each(scale),
        }
    }

    /// The integrator divides by the number of values and takes the root: what remains is the
    /// largest norm of a row's error over the tolerance.
    fn error_norm(
        &self,
        _: &Self,
        error: &Self,
        tolerance: &Tolerance<f64>,
        _: &Tolerance<f64>,
    ) -> f64 {
        let mut largest = 0.0;
        for row in error.values.chunks_exact(self.columns) {
            let squares: f64 = row.iter().map(|error| error * error).sum();
            // Not `max`, which passes over NaN.
            if squares.is_nan() || squares > largest {
                largest = squares;
            }
        }
        (largest.sqrt() / tolerance[0]).powi(2) * self.values.len() as f64
    }
}
