//! The description of a model's parameters.

use crate::extent::numbers;

/// The initial values of a parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Initial {
    /// The same number everywhere.
    Constant(f64),
    /// Draws from N(0, std²).
    Normal {
        /// The standard deviation.
        std: f64,
    },
    /// The same number in some columns, 0 elsewhere.
    Columns {
        /// The first of them.
        first: usize,
        /// How many.
        count: usize,
        /// The number.
        value: f64,
    },
}

/// A matrix of the model, row-major; a vector has one row.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Its name in checkpoints.
    pub name: String,
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub columns: usize,
    /// Whether it is a vector, with one row and the shape `[columns]`.
    pub vector: bool,
    /// Its initial values.
    pub initial: Initial,
    /// Whether the optimiser may change it.
    pub trainable: bool,
    /// The linear maps between hidden features that stand side by side in its columns, equally
    /// wide, each of which an optimiser may treat by itself ([`Muon`](crate::Muon)). 0 for others.
    pub hidden_maps: usize,
}

impl Parameter {
    /// A matrix `[rows, columns]`.
    pub fn matrix(
        name: impl Into<String>,
        [rows, columns]: [usize; 2],
        initial: Initial,
    ) -> Parameter {
        let (name, vector) = (name.into(), false);
        Parameter { name, rows, columns, vector, initial, trainable: true, hidden_maps: 0 }
    }

    /// A vector `[columns]`.
    pub fn vector(name: impl Into<String>, columns: usize, initial: Initial) -> Parameter {
        let (name, rows, vector) = (name.into(), 1, true);
        Parameter { name, rows, columns, vector, initial, trainable: true, hidden_maps: 0 }
    }

    /// The same, frozen: the optimiser never changes it.
    pub fn frozen(self, frozen: bool) -> Parameter {
        Parameter { trainable: !frozen, ..self }
    }

    /// The same, as `maps` weights between hidden features, side by side: queries, keys and values
    /// are three. Not for an embedding table or a head, whose rows belong to symbols. It has no
    /// effect on vectors.
    ///
    /// # Panics
    /// If the columns cannot be divided so.
    pub fn hidden(self, maps: usize) -> Parameter {
        assert!(maps > 0 && self.columns.is_multiple_of(maps), "{} in {maps} maps", self.name);
        Parameter { hidden_maps: maps, ..self }
    }

    /// # Panics
    /// If it has no numbers, or too many for one buffer, if a vector has several rows, if its maps
    /// are not equally wide, or if its initial values lie outside its columns.
    pub fn validate(&self) {
        let Parameter { name, rows, columns, vector, initial, hidden_maps: maps, .. } = self;
        assert!(numbers(&[*rows, *columns]) > 0, "{name} has {rows} rows and {columns} columns");
        assert!(!vector || *rows == 1, "the vector {name} has {rows} rows");
        assert!(*maps == 0 || columns.is_multiple_of(*maps), "{name} in {maps} maps");
        if let Initial::Columns { first, count, .. } = initial {
            let fits = first.checked_add(*count).is_some_and(|end| end <= *columns);
            assert!(fits, "{name} has {columns} columns, not {count} from {first} on");
        }
    }

    /// Its shape in checkpoints.
    pub fn shape(&self) -> Vec<usize> {
        if self.vector { vec![self.columns] } else { vec![self.rows, self.columns] }
    }
}
