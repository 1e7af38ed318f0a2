//! A checkpoint: a model's description, and its tensors.

use std::path::{Path, PathBuf};

use retrodict_engine::{Graph, Parameter, Parameters, Scalar};

use crate::architecture::Architecture;
use crate::config::Config;
use crate::save::parameter_rows;
use crate::tensors::{Entry, Tensors};
use crate::{PretrainedError, gguf};

/// A model's description and where its tensors are.
#[derive(Debug)]
pub struct Checkpoint {
    /// The model.
    pub architecture: Architecture,
    /// Tokens that end a text.
    pub(crate) ends: Vec<u32>,
    /// The folder or file.
    pub(crate) path: PathBuf,
    tensors: Tensors,
    /// A tensor's name in the file from that of the parameter.
    name: fn(&str) -> String,
}

impl Checkpoint {
    /// Opens a Hugging Face folder (`config.json`, and `model.safetensors` or the files of its index)
    /// or a GGUF file. Nothing larger than their headers is read yet.
    ///
    /// # Errors
    /// [`PretrainedError::File`] if a file is missing, damaged or of an unknown kind.
    pub fn open(path: &Path) -> Result<Self, PretrainedError> {
        if !path.is_dir() {
            return Ok(Self::of_gguf(path, gguf::open(path)?.0));
        }
        let Config { architecture, ends } = Config::read(&path.join("config.json"))?;
        let tensors = Tensors::in_folder(path)?;
        Ok(Self { architecture, ends, path: path.to_owned(), tensors, name: str::to_owned })
    }

    /// Of a GGUF file that has been opened.
    pub(crate) fn of_gguf(path: &Path, file: gguf::Described) -> Self {
        let gguf::Described { architecture, ends, tensors } = file;
        Self { architecture, ends, path: path.to_owned(), tensors, name: gguf::name }
    }

    /// The weights, for graphs of this architecture with these parameters. The shapes of all are
    /// checked before memory is taken.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape, or a file cannot be read.
    pub fn parameters<T: Scalar>(
        &mut self,
        graph: &Graph<T>,
    ) -> Result<Parameters<T>, PretrainedError> {
        let entries = graph.parameters().iter().map(|p| self.entry(&p.name, &p.shape()));
        let entries = entries.collect::<Result<Vec<Entry>, _>>()?;
        let mut parameters = Parameters::zeros(graph);
        self.read(graph.parameters(), &entries, &mut parameters)?;
        Ok(parameters)
    }

    /// Reads the weights again, into those of a graph that they were read for before.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub(crate) fn read_again<T: Scalar>(
        &mut self,
        parameters: &mut Parameters<T>,
    ) -> Result<(), PretrainedError> {
        let all: Vec<Parameter> = parameters.iter().map(|(p, _)| p.clone()).collect();
        let entries = all.iter().map(|p| self.entry(&p.name, &p.shape()));
        let entries = entries.collect::<Result<Vec<Entry>, _>>()?;
        self.read(&all, &entries, parameters)
    }

    fn read<T: Scalar>(
        &mut self,
        all: &[Parameter],
        entries: &[Entry],
        parameters: &mut Parameters<T>,
    ) -> Result<(), PretrainedError> {
        for (at, (p, entry)) in all.iter().zip(entries).enumerate() {
            let values = self.tensors.read(entry)?;
            if values.iter().any(|value| !value.is_finite()) {
                let problem = format!("the tensor {} has numbers that are not finite", p.name);
                return Err(PretrainedError::file(&self.path, problem));
            }
            let (rows, columns) = parameter_rows(p);
            let order = self.architecture.row_order(&p.name, rows);
            let out = parameters.values_mut(at).chunks_exact_mut(columns);
            for (row, out) in out.enumerate() {
                let from = order.as_ref().map_or(row, |order| order[row]) * columns;
                for (out, value) in out.iter_mut().zip(&values[from..from + columns]) {
                    *out = T::from_f64(f64::from(*value));
                }
            }
        }
        Ok(())
    }

    /// The tensor of a parameter.
    fn entry(&self, name: &str, shape: &[usize]) -> Result<Entry, PretrainedError> {
        let in_file = (self.name)(name);
        // The first checkpoints of GPT-2 are of the model without its head.
        let short = in_file.strip_prefix("transformer.").unwrap_or(&in_file);
        let problem = match self.tensors.find(&[&in_file, short]) {
            Some((_, entry)) if entry.shape == shape => return Ok(entry.clone()),
            Some((found, entry)) => format!(
                "the tensor {found} has the shape {:?}, but the description of the model needs \
                 {shape:?}",
                entry.shape
            ),
            None => format!("there is no tensor {in_file} of F32, F16 or BF16 numbers"),
        };
        Err(PretrainedError::file(&self.path, problem))
    }
}
