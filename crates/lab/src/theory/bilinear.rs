//! The bilinear model: one simulation, held against theorems 1 and 2.
