//! The decoder, built out of the engine's operations.
