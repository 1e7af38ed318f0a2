//! `Spec`: an experiment, read and checked as on the command line.

use std::collections::hash_map::DefaultHasher;
use std::fmt::Write as _;
use std::hash::{Hash as _, Hasher as _};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyMappingProxy, PyType};
use retrodict_lab::spec::{READY, Spec as LabSpec, commented, read_file, ready, reference};
use retrodict_lab::{Experiment, nearest};

use crate::errors;
use crate::values::{escaped, object, overrides};

/// The text of a spec before it is resolved, with the overrides.
#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) text: Arc<str>,
    pub(crate) origin: String,
    pub(crate) set: Vec<(String, String)>,
}

impl Source {
    /// The overrides as the library takes them.
    pub(crate) fn set(&self) -> Vec<(&str, &str)> {
        self.set.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
    }

    /// The file `named`, or else the ready spec of that name.
    pub(crate) fn named(named: &str) -> PyResult<Source> {
        let path = Path::new(named);
        let missing =
            || std::fs::metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound);
        let text = match ready(named) {
            Ok(text) if !path.is_file() => text.to_owned(),
            Err(unknown) if missing() => {
                return Err(errors::spec(format!(
                    "there is no file `{named}`, and no ready spec of that name; {}",
                    unknown.hint
                )));
            }
            _ => read_file(path).map_err(errors::spec)?,
        };
        Ok(Source { text: text.into(), origin: named.to_owned(), set: Vec::new() })
    }

    /// The source that an argument names: a `Spec`, a ready spec or a file.
    pub(crate) fn of(argument: &Bound<'_, PyAny>) -> PyResult<Source> {
        if let Ok(spec) = argument.cast::<Spec>() {
            return Ok(spec.get().source.clone());
        }
        let named: PathBuf = argument.extract()?;
        Source::named(&named.to_string_lossy())
    }

    /// The experiment, checked.
    pub(crate) fn experiment(&self) -> PyResult<Experiment> {
        let spec =
            LabSpec::parse_with(&self.text, &self.origin, &self.set()).map_err(errors::spec)?;
        Experiment::new(spec, &self.origin).map_err(errors::spec)
    }
}

/// What `pickle` stores: a function, and its arguments.
pub(crate) type Reduced<'py, A> = (Bound<'py, PyAny>, A);

/// Text, origin and overrides.
type Parts = (String, String, Vec<(String, String)>);

/// An experiment: data, model, training, and what is measured. Immutable.
///
/// Begin with `Spec.ready("reversal-quick")`, `Spec.load("mine.toml")` or `Spec.from_toml(text)`,
/// and change keys with `set`. A wrong key or value raises `SpecError`, a `ValueError`.
///
/// It is a mapping of sections: `spec["train"]["lr"]`.
#[pyclass(frozen, mapping, module = "retrodict")]
pub(crate) struct Spec {
    pub(crate) source: Source,
    pub(crate) experiment: Experiment,
}

impl Spec {
    pub(crate) fn new(source: Source) -> PyResult<Spec> {
        Ok(Spec { experiment: source.experiment()?, source })
    }

    /// A spec that has run.
    pub(crate) fn stored(experiment: Experiment) -> Spec {
        let (text, origin) = (experiment.spec.to_toml().into(), experiment.spec.name.clone());
        Spec { source: Source { text, origin, set: Vec::new() }, experiment }
    }

    fn sections(&self) -> Vec<&'static str> {
        let mut sections: Vec<&'static str> = Vec::new();
        for line in self.experiment.spec.lines() {
            let name = if line.section.is_empty() { line.key } else { line.section };
            if !sections.contains(&name) {
                sections.push(name);
            }
        }
        sections
    }
}

#[pymethods]
impl Spec {
    /// The ready spec of that name; `retrodict.ready_specs()` lists them.
    #[staticmethod]
    fn ready(name: &str) -> PyResult<Spec> {
        let text = ready(name).map_err(errors::spec)?;
        Spec::new(Source { text: text.into(), origin: name.to_owned(), set: Vec::new() })
    }

    /// The spec in a TOML text. `name` begins error messages, and names an experiment whose text
    /// does not.
    #[staticmethod]
    #[pyo3(signature = (text, name = "spec"))]
    fn from_toml(text: &str, name: &str) -> PyResult<Spec> {
        Spec::new(Source { text: text.into(), origin: name.to_owned(), set: Vec::new() })
    }

    /// The spec in a TOML file.
    #[staticmethod]
    fn load(path: PathBuf) -> PyResult<Spec> {
        let text = read_file(&path).map_err(errors::spec)?;
        let origin = path.display().to_string();
        Spec::new(Source { text: text.into(), origin, set: Vec::new() })
    }

    /// The same spec with these keys changed; section and key are joined by two underscores:
    /// `spec.set(model__layers=4, train__lr=1e-3)`. Keys without a section stand alone: `seeds=10`.
    #[pyo3(signature = (**keys))]
    fn set(&self, keys: Option<&Bound<'_, PyDict>>) -> PyResult<Spec> {
        let mut source = self.source.clone();
        for (key, value) in overrides(keys)? {
            source.set.retain(|(other, _)| *other != key);
            source.set.push((key, value));
        }
        Spec::new(source)
    }

    /// The experiment's name, a folder of the run store.
    #[getter]
    fn name(&self) -> &str {
        &self.experiment.spec.name
    }

    /// The seeds that it is run with where none are given.
    #[getter]
    fn seeds(&self) -> Vec<u64> {
        self.experiment.spec.seeds.clone()
    }

    /// 16 hexadecimal digits over all keys that decide the numbers.
    #[getter]
    fn hash(&self) -> String {
        self.experiment.hash.to_string()
    }

    /// The number of scalar parameters of its model.
    #[getter]
    fn parameter_count(&self) -> usize {
        self.experiment.network.parameter_count()
    }

    /// The number of tokens of its model.
    #[getter]
    fn vocab(&self) -> usize {
        self.experiment.network.vocab()
    }

    /// The whole resolved spec as TOML; with `comments`, one on every key.
    #[pyo3(signature = (*, comments = false))]
    fn to_toml(&self, comments: bool) -> String {
        match comments {
            true => commented(&self.experiment.spec),
            false => self.experiment.spec.to_toml(),
        }
    }

    /// The names of its sections, and of the keys above the first.
    fn keys(&self) -> Vec<&'static str> {
        self.sections()
    }

    /// A section as a read-only mapping, or the value of a key: `spec["train"]`, `spec["seeds"]`,
    /// `spec["train.lr"]`.
    fn __getitem__<'py>(&self, py: Python<'py>, key: &str) -> PyResult<Bound<'py, PyAny>> {
        let lines = self.experiment.spec.lines();
        if let Some(line) = lines.iter().find(|line| line.path() == key) {
            return object(py, &line.value);
        }
        let inside = PyDict::new(py);
        for line in lines.iter().filter(|line| !line.section.is_empty() && line.section == key) {
            inside.set_item(line.key, object(py, &line.value)?)?;
        }
        if !inside.is_empty() {
            return Ok(PyMappingProxy::new(py, inside.as_mapping()).into_any());
        }
        let names: Vec<String> = lines
            .iter()
            .map(retrodict_lab::spec::Line::path)
            .chain(self.sections().into_iter().map(str::to_owned))
            .collect();
        let hint = nearest(key, names.iter().map(String::as_str))
            .map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        Err(PyKeyError::new_err(format!("this spec has no `{key}`{hint}")))
    }

    fn __contains__(&self, py: Python<'_>, key: &str) -> bool {
        self.__getitem__(py, key).is_ok()
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        PyList::new(py, self.sections())?.into_any().call_method0("__iter__")
    }

    fn __len__(&self) -> usize {
        self.sections().len()
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        let other = other.cast::<Spec>();
        other.is_ok_and(|other| other.get().experiment.spec == self.experiment.spec)
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.experiment.spec.to_toml().hash(&mut hasher);
        hasher.finish()
    }

    fn __str__(&self) -> String {
        self.experiment.spec.to_toml()
    }

    fn __repr__(&self) -> String {
        let set: Vec<String> =
            self.source.set.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let set = if set.is_empty() { String::new() } else { format!(" {}", set.join(" ")) };
        format!("<Spec {} {}{set}>", self.experiment.spec.name, self.experiment.hash)
    }

    /// A table of all keys, those that differ from their default in bold.
    fn _repr_html_(&self) -> String {
        let mut html = format!(
            "<table><caption>{} <code>{}</code></caption>",
            escaped(&self.experiment.spec.name),
            self.experiment.hash
        );
        for line in self.experiment.spec.lines() {
            let (path, value) = (line.path(), escaped(&line.value));
            let value = if line.default { value } else { format!("<b>{value}</b>") };
            let _ = write!(html, "<tr><td><code>{path}</code></td><td>{value}</td></tr>");
        }
        html + "</table>"
    }

    fn __reduce__<'py>(slf: &Bound<'py, Spec>) -> PyResult<Reduced<'py, Parts>> {
        let Source { text, origin, set } = slf.get().source.clone();
        let rebuild = slf.py().get_type::<Spec>().getattr("_of")?;
        Ok((rebuild, (text.to_string(), origin, set)))
    }

    /// The spec of a text with overrides, for `pickle`.
    #[classmethod]
    fn _of(
        _: &Bound<'_, PyType>,
        text: &str,
        origin: String,
        set: Vec<(String, String)>,
    ) -> PyResult<Spec> {
        Spec::new(Source { text: text.into(), origin, set })
    }
}

/// The names of the ready specs.
#[pyfunction]
pub(crate) fn ready_specs() -> Vec<&'static str> {
    READY.iter().map(|(name, _)| *name).collect()
}

/// Every key of a spec as Markdown: type, range, default, and when it applies.
#[pyfunction]
pub(crate) fn spec_reference() -> String {
    reference()
}
