//! Experiments: specs, runs, the schedule of many seeds, the run store.
