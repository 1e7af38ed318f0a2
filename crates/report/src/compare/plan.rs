//! From a task to the experiments that are run for it.

use retrodict_facts::FactsError;
use retrodict_lab::Experiment;
use retrodict_lab::settings::Writer;
use retrodict_lab::spec::{Line, Problem, Spec, ready};
use toml::{Table, Value};

use super::CompareError;
use super::file::{BASELINE, Comparison, Intervention, Response, Task};
use super::read::place_of;

/// An experiment of a task.
#[derive(Clone, Debug)]
pub struct Planned<'c> {
    /// The intervention; `None` for the baseline.
    pub intervention: Option<&'c Intervention>,
    /// The experiment.
    pub experiment: Experiment,
    /// The number that the task is drawn over, if it is.
    pub dose: Option<f64>,
}

impl Planned<'_> {
    /// The intervention's id, or `baseline`.
    pub fn id(&self) -> &str {
        self.intervention.map_or(BASELINE, |intervention| &intervention.id)
    }
}

/// The name of a task's experiments in the store; comparisons that share a task and its specs
/// share their runs.
pub(crate) fn experiment_name(task: &Task) -> String {
    format!("compare-{}", task.id)
}

/// The experiments of a task, the baseline first.
///
/// # Errors
/// [`CompareError`] if a spec is wrong or cannot be run, or two are one.
pub fn plan<'c>(
    comparison: &'c Comparison,
    task: &'c Task,
    seeds: &[u64],
) -> Result<Vec<Planned<'c>>, CompareError> {
    let mut planned: Vec<Planned<'c>> = Vec::new();
    for intervention in std::iter::once(None).chain(task.interventions.iter().map(Some)) {
        let place = place_of(comparison, task, intervention);
        let experiment = experiment(task, intervention, seeds, &place)?;
        if let Some(other) = planned.iter().find(|p| p.experiment.hash == experiment.hash) {
            return Err(CompareError::Same { place, other: format!("`{}`", other.id()) });
        }
        let dose = match &task.response {
            Some(Response { key, .. }) => {
                let found = number(&experiment, key);
                let error = || CompareError::Response { place, key: key.clone() };
                Some(found.ok_or_else(error)?)
            }
            None => None,
        };
        planned.push(Planned { intervention, experiment, dose });
    }
    Ok(planned)
}

fn experiment(
    task: &Task,
    intervention: Option<&Intervention>,
    seeds: &[u64],
    place: &str,
) -> Result<Experiment, CompareError> {
    let text = match &task.base {
        Some(base) => {
            ready(base).map_err(|source| CompareError::Ready { place: place.to_owned(), source })?
        }
        None => "",
    };
    let mut set: Vec<(String, String)> = written_out(&task.spec);
    set.extend(task.set.iter().map(|(key, value)| (key.clone(), literal(value))));
    let inherited = set.len();
    let own = intervention.into_iter().flat_map(|intervention| &intervention.set);
    set.extend(own.map(|(key, value)| (key.clone(), literal(value))));
    let mut spec = parse(text, place, &mut set, inherited)?;
    spec.keep_little(|key| set.iter().any(|(given, _)| *given == key));
    spec.name = experiment_name(task);
    spec.seeds = seeds.to_vec();
    Ok(Experiment::new(spec, place)?)
}

/// Reads a spec with the keys `set`. The first `inherited` of them are the task's: those without
/// effect under the intervention's own, such as the layers of a model without any, are left out.
fn parse(
    text: &str,
    place: &str,
    set: &mut Vec<(String, String)>,
    mut inherited: usize,
) -> Result<Spec, CompareError> {
    loop {
        let pairs: Vec<(&str, &str)> = set.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let problem = match Spec::parse_with(text, place, &pairs) {
            Ok(spec) => return Ok(spec),
            Err(error) => error.problem,
        };
        let without_effect = match &*problem {
            Problem::NoEffect { key, .. } => {
                set[..inherited].iter().position(|(given, _)| given == key)
            }
            _ => None,
        };
        let Some(at) = without_effect else {
            return Err(CompareError::Spec { place: place.to_owned(), problem });
        };
        set.remove(at);
        inherited -= 1;
    }
}

/// The keys of a spec that is written in sections, each with its section.
fn written_out(spec: &Table) -> Vec<(String, String)> {
    let keys = spec.iter().flat_map(|(name, value)| match value {
        Value::Table(section) => {
            let key = |(key, value): (&String, &Value)| (format!("{name}.{key}"), literal(value));
            section.iter().map(key).collect()
        }
        value => vec![(name.clone(), literal(value))],
    });
    // A spec without a name is called after its file; this one has none.
    let named = ("name".to_owned(), "\"compare\"".to_owned());
    std::iter::once(named).filter(|_| !spec.is_empty()).chain(keys).collect()
}

/// A number of a spec, by its key.
fn number(experiment: &Experiment, key: &str) -> Option<f64> {
    experiment.spec.lines().iter().find(|line| line.path() == key)?.value.parse().ok()
}

/// Data, model, training, seeds and held-out questions of an experiment, in words: the settings
/// that its verdicts are about.
pub(super) fn setting(experiment: &Experiment, seeds: usize) -> Result<String, FactsError> {
    let lines = experiment.spec.lines();
    let value = |key: &str| lines.iter().find(|line| line.path() == key).map(|line| &*line.value);
    let word = |key: &str| value(key).unwrap_or_default().trim_matches('"').to_owned();
    let size = match (value("model.layers"), value("model.dim")) {
        (Some(layers), Some(dim)) => format!(" {layers} × {dim}"),
        (None, Some(dim)) => format!(" of dimension {dim}"),
        _ => String::new(),
    };
    let questions = experiment.dataset(0)?.held_out_questions().len();
    Ok(format!(
        "{} data with {} tokens, {}{size}, {} epochs of {} at {}, {seeds} seeds of {questions} \
         questions",
        word("data.kind"),
        experiment.network.vocab(),
        word("model.kind"),
        word("train.epochs"),
        word("train.optimizer"),
        word("train.lr"),
    ))
}

/// A value as TOML writes it.
fn literal(value: &Value) -> String {
    value.to_string()
}

/// The keys of `experiment`'s spec that differ from `baseline`'s, as TOML.
pub(crate) fn difference(baseline: &Experiment, experiment: &Experiment) -> String {
    let before = baseline.spec.lines();
    let same = |line: &Line| {
        before.iter().any(|other| (other.path(), &other.value) == (line.path(), &line.value))
    };
    let mut writer = Writer::default();
    writer.lines = experiment.spec.lines().into_iter().filter(|line| !same(line)).collect();
    writer.toml()
}
