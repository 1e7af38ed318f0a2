//! The simulations of the theory. Settings and results cross as JSON, whose shape the crates declare.

use std::fmt::Display;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use retrodict_lab::Experiment;
use retrodict_theory::bilinear::BilinearConfig;
use retrodict_theory::one_layer::OneLayerConfig;
use retrodict_theory::transfer::TransferConfig;
use retrodict_theory::{self as theory, with_threads};
use serde_json::{Map, Value};

use crate::errors;
use crate::spec::Source;

/// Between two looks at signals.
const TICK: Duration = Duration::from_millis(20);

/// The settings in a JSON object over their defaults.
fn settings<C: Default + serde::Serialize + serde::de::DeserializeOwned>(
    text: &str,
) -> PyResult<C> {
    let wrong = |error: serde_json::Error| errors::spec(error);
    let given: Map<String, Value> = serde_json::from_str(text).map_err(wrong)?;
    let mut all = serde_json::to_value(C::default()).map_err(wrong)?;
    if let Value::Object(all) = &mut all {
        all.extend(given);
    }
    serde_json::from_value(all).map_err(wrong)
}

/// Simulates on another thread, so that Ctrl-C is heard at once; the simulation then ends unheard.
fn simulated<R: serde::Serialize, E: Display>(
    py: Python<'_>,
    simulate: impl FnOnce() -> Result<R, E> + Send + 'static,
) -> PyResult<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let result = with_threads(move || {
            let result = simulate().map_err(|error| error.to_string())?;
            serde_json::to_string(&result).map_err(|error| error.to_string())
        });
        // Nobody may listen any more.
        let _ = sender.send(result);
    });
    let receiver = std::sync::Mutex::new(receiver);
    loop {
        let received = py.detach(|| {
            let receiver = receiver.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            receiver.recv_timeout(TICK)
        });
        match received {
            Ok(result) => return result.map_err(errors::spec),
            Err(mpsc::RecvTimeoutError::Timeout) => py.check_signals()?,
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                return Err(PyRuntimeError::new_err("the simulation panicked"));
            }
        }
    }
}

/// Simulates the bilinear model. The settings and the result are JSON.
#[pyfunction]
pub(crate) fn bilinear(py: Python<'_>, config: &str) -> PyResult<String> {
    let config: BilinearConfig = settings(config)?;
    simulated(py, move || theory::bilinear::simulate(&config, &mut |_| ()))
}

/// Simulates the one-layer transformer. The settings and the result are JSON.
#[pyfunction]
pub(crate) fn one_layer(py: Python<'_>, config: &str) -> PyResult<String> {
    let config: OneLayerConfig = settings(config)?;
    simulated(py, move || theory::one_layer::simulate(&config))
}

/// Measures the transfer between sentences in a decoder. The settings and the result are JSON.
#[pyfunction]
pub(crate) fn transfer(py: Python<'_>, spec: &Bound<'_, PyAny>, config: &str) -> PyResult<String> {
    let config: TransferConfig = settings(config)?;
    let experiment: Experiment = Source::of(spec)?.experiment()?;
    simulated(py, move || theory::transfer::simulate(&experiment, &config, &mut |_| ()))
}
