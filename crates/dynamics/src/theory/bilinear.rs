//! The bilinear model (paper, section 3).
