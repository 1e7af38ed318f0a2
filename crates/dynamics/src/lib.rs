//! What is measured of a model: effective weights, margins, asymmetry.
