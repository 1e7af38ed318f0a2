//! A report made from the run store alone.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use retrodict_lab::spec::{DataName, Spec};
use retrodict_lab::store::{Machine, MetricsRow, Status, Store, StoreError, atomic};
use retrodict_lab::{Experiment, Outcome, RunResult, last_effective_weights};
use serde::{Deserialize, Serialize};

use crate::figure::{
    EffectiveWeights, Figure, LossCurves, WeightPanel, effective_weights, loss_curves,
};
use crate::paper::{self, FIGURES, Scale};
use crate::summary::{Claim, Comparator};
use crate::{HeadResult, Report, ReportError, Section, SeedRow, report, reversal_finding};

/// The file that says how a reproduction went.
const REPRODUCTION: &str = "reproduction.json";

/// How a reproduction went; kept beside the store, for it cannot be read off the runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reproduction {
    /// `quick` or `paper`.
    pub scale: String,
    /// Seeds of each experiment.
    pub seeds: usize,
    /// Seconds that it took, all runs together.
    pub wall_seconds: f64,
}

impl Reproduction {
    /// Keeps it in `out`.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub fn write(&self, out: &Path) -> Result<(), ReportError> {
        let text = serde_json::to_vec_pretty(self)?;
        Ok(atomic::write(&out.join(REPRODUCTION), &text)?)
    }

    /// What is kept in `out`, if anything (that can be read) is.
    pub fn read(out: &Path) -> Option<Reproduction> {
        serde_json::from_slice(&fs::read(out.join(REPRODUCTION)).ok()?).ok()
    }
}

/// One experiment of the store with its complete runs.
struct Stored {
    experiment: Experiment,
    runs: Vec<RunResult>,
    curves: Vec<Vec<MetricsRow>>,
    machine: Option<Machine>,
}

impl Stored {
    fn label(&self) -> &'static str {
        if self.experiment.spec.model.tie_head { "tied head" } else { "free head" }
    }

    /// One a run, NaN where it does not apply.
    fn values(&self, of: impl Fn(&RunResult) -> Option<f64>) -> Vec<f64> {
        self.runs.iter().map(|run| of(run).unwrap_or(f64::NAN)).collect()
    }

    fn held_out_nll(&self) -> Vec<f64> {
        self.values(|run| run.last?.held_out_nll)
    }

    fn head_result(&self) -> HeadResult {
        HeadResult {
            train_nll: self.values(|run| Some(run.last?.train_nll)),
            held_out_nll: self.held_out_nll(),
            held_out_top1: self.values(|run| run.last?.held_out_top1),
            asymmetry: self.values(|run| run.indexes.asymmetry),
        }
    }

    fn uniform(&self) -> (f64, String) {
        let vocab = self.experiment.decoder.vocab;
        ((vocab as f64).ln(), format!("ln {vocab}"))
    }

    fn wall_seconds(&self) -> f64 {
        let manifests = self.runs.iter().filter_map(|run| run.manifest.as_ref());
        manifests.map(|manifest| manifest.wall_seconds).sum()
    }
}

/// The report of everything complete in the store below `out`.
///
/// # Errors
/// [`ReportError`] if the store cannot be read, or a complete run in it is damaged.
pub fn from_store(out: &Path) -> Result<Report, ReportError> {
    let store = Store::view(out)?;
    let groups = grouped(read(&store)?)?;
    let kept = Reproduction::read(out);
    let all = || groups.iter().flat_map(|group| &group.variants);
    let runs_took: f64 = all().map(Stored::wall_seconds).sum();
    let own_scale = groups.iter().find_map(|group| group.owner).map_or("own", Scale::word);
    let seeds = all().map(|stored| stored.runs.len()).max().unwrap_or(0);
    let machine = all().find_map(|stored| stored.machine.as_ref()).map(machine_name);
    let sections =
        groups.iter().map(|group| section(&store, group)).collect::<Result<_, ReportError>>()?;
    Ok(Report {
        title: "retrodict: the reversal curse, redrawn".into(),
        version: retrodict_lab::VERSION.into(),
        commit: retrodict_lab::COMMIT.unwrap_or_default().into(),
        scale: kept.as_ref().map_or(own_scale.into(), |kept| kept.scale.clone()),
        seeds: kept.as_ref().map_or(seeds, |kept| kept.seeds),
        wall_seconds: kept.map_or(runs_took, |kept| kept.wall_seconds),
        machine: machine.unwrap_or_default(),
        sections,
        tables: Vec::new(),
    })
}

/// Experiments that differ in the head alone.
struct Group {
    /// The scale at which they are the paper's; `None` for the user's own.
    owner: Option<Scale>,
    /// The free head first.
    variants: Vec<Stored>,
}

/// All experiments with at least one complete run. What this program cannot read as a spec (of a
/// later version, say) is an error: leaving it out in silence would falsify the report.
fn read(store: &Store) -> Result<Vec<Stored>, ReportError> {
    let mut all: Vec<Stored> = Vec::new();
    for folder in store.runs()? {
        if !folder.is_complete() {
            continue;
        }
        let at = match all.iter().position(|stored| {
            stored.experiment.hash == folder.hash
                && stored.experiment.spec.name == folder.experiment
        }) {
            Some(at) => at,
            None => {
                let origin = folder.spec_path().display().to_string();
                let mut spec = Spec::parse(&folder.read_spec()?, &origin)?;
                spec.name.clone_from(&folder.experiment);
                let experiment = Experiment::new(spec, &origin)?;
                if experiment.hash != folder.hash {
                    let what = format!("its hash is {}", experiment.hash);
                    return Err(StoreError::Damaged { path: folder.spec_path(), what }.into());
                }
                all.push(Stored { experiment, runs: vec![], curves: vec![], machine: None });
                all.len() - 1
            }
        };
        let stored = &mut all[at];
        let outcome = Outcome { status: Status::Complete, message: None, from_store: true };
        let run = RunResult::collect(&stored.experiment, store, folder.seed, outcome)?;
        if stored.machine.is_none() {
            stored.machine = run.manifest.as_ref().map(|manifest| manifest.machine.clone());
        }
        stored.curves.push(folder.read_metrics()?);
        stored.runs.push(run);
    }
    Ok(all)
}

/// Experiments that differ in the head alone stand together; those of the paper come first.
fn grouped(all: Vec<Stored>) -> Result<Vec<Group>, ReportError> {
    let mut ours: BTreeMap<String, Scale> = BTreeMap::new();
    for scale in [Scale::Paper, Scale::Quick] {
        for experiment in paper::reversal(scale, 1)? {
            ours.insert(experiment.hash.to_string(), scale);
        }
    }
    let mut groups: Vec<Group> = Vec::new();
    for stored in all {
        let owner = ours.get(&stored.experiment.hash.to_string()).copied();
        let key = free_headed(&stored.experiment);
        // Two experiments with one spec and two names stay apart, as do two free heads.
        let place = groups.iter_mut().find(|group| {
            group.variants.iter().all(|other| {
                free_headed(&other.experiment) == key && other.label() != stored.label()
            })
        });
        match place {
            Some(group) => group.variants.push(stored),
            None => groups.push(Group { owner, variants: vec![stored] }),
        }
    }
    for group in &mut groups {
        group.variants.sort_by_key(|stored| stored.experiment.spec.model.tie_head);
    }
    groups.sort_by_key(|group| {
        let rank = match group.owner {
            Some(Scale::Paper) => 0,
            Some(Scale::Quick) => 1,
            None => 2,
        };
        (rank, group.variants[0].experiment.spec.name.clone())
    });
    // One scale owns the paper's figures; another in the same store is one of the user's own.
    let mut taken = false;
    for group in &mut groups {
        if taken {
            group.owner = None;
        }
        taken |= group.owner.is_some();
    }
    Ok(groups)
}

/// The hash of the experiment as it would be with a free head.
fn free_headed(experiment: &Experiment) -> String {
    let mut spec = experiment.spec.clone();
    spec.model.tie_head = false;
    spec.hash().to_string()
}

fn section(store: &Store, group: &Group) -> Result<Section, ReportError> {
    let (owner, group) = (group.owner, &group.variants);
    let first = &group[0];
    let stem = stem(&first.experiment);
    let [curves, heat] = match owner {
        Some(_) => FIGURES.map(|figure| (figure.name.to_owned(), figure.title.to_owned())),
        None => {
            let name = &first.experiment.spec.name;
            [
                (format!("loss-{stem}"), format!("{name}: loss curves")),
                (format!("weights-{stem}"), format!("{name}: effective weights")),
            ]
        }
    };
    let variants: Vec<LossCurves> = group.iter().map(curves_of).collect();
    let mut figures: Vec<Figure> = vec![loss_curves(&curves.0, &curves.1, &variants)];
    let weights = group
        .iter()
        .filter_map(|stored| weights_of(store, stored).transpose())
        .collect::<Result<Vec<_>, _>>()?;
    if let Some(any) = weights.first() {
        // Two by two for pairs, two by three for chains.
        let columns = any.panels.len().div_ceil(2);
        figures.push(effective_weights(&heat.0, &heat.1, columns, &weights));
    }
    let (heading, claims) = match owner {
        Some(_) => ("The reversal curse".to_owned(), reversal_claims(group)),
        None => (first.experiment.spec.name.clone(), Vec::new()),
    };
    Ok(Section {
        name: if owner.is_some() { "reversal".into() } else { stem },
        heading,
        source: owner.map_or(String::new(), |_| "paper, figures 1 and 2".into()),
        see: String::new(),
        finding: finding(group),
        figures,
        claims,
        experiments: group.iter().map(|stored| table_of(stored, owner)).collect(),
    })
}

/// What the paper claims of the reversal experiment, and what we add about the head.
fn reversal_claims(group: &[Stored]) -> Vec<Claim> {
    let (uniform, _) = group[0].uniform();
    let mut claims = Vec::new();
    let find = |tied| group.iter().find(|s| s.experiment.spec.model.tie_head == tied);
    if let Some(free) = find(false) {
        let result = free.head_result();
        let mut claim = |id: &str, text: &str, source: &str, values, comparator, threshold| {
            let id = format!("reversal.{id}");
            claims.push(Claim::measured(&id, text, source, values, comparator, threshold));
        };
        claim(
            "train_nll",
            "The trained directions are learned: the NLL of training sentences goes to 0",
            "paper, figure 1",
            result.train_nll,
            Comparator::Less,
            0.05,
        );
        claim(
            "held_out_nll",
            "The held-out reversals are predicted no better than by guessing",
            "paper, figure 1",
            result.held_out_nll,
            Comparator::AtLeast,
            uniform,
        );
        claim(
            "held_out_top1",
            "No held-out reversal ranks first in the vocabulary",
            "paper, figure 1",
            result.held_out_top1,
            Comparator::Equal,
            0.0,
        );
        claim(
            "asymmetry",
            "The effective weights of held-out pairs are asymmetric: there is no diagonal in the \
             unseen direction",
            "paper, figure 2",
            result.asymmetry,
            Comparator::Greater,
            0.9,
        );
    }
    if let Some(tied) = find(true) {
        claims.push(Claim::measured(
            "reversal.tied_asymmetry",
            "With the head tied to the token embeddings, the asymmetry is smaller",
            "retrodict: the paper's code ran with a free head",
            tied.head_result().asymmetry,
            Comparator::Less,
            0.9,
        ));
    }
    claims
}

fn finding(group: &[Stored]) -> String {
    let first = &group[0];
    let (uniform, label) = first.uniform();
    if first.experiment.spec.data.kind.name() == DataName::Reversal {
        let results: Vec<HeadResult> = group.iter().map(Stored::head_result).collect();
        return reversal_finding(&results[0], results.get(1), uniform, &label);
    }
    let train = crate::text::mean_and_spread(&first.head_result().train_nll);
    let held_out = crate::text::mean_and_spread(&first.held_out_nll());
    format!(
        "After {} epochs the training sentences have NLL {train}, the held-out ones {held_out}; \
         uniform guessing is {label} = {}.",
        first.experiment.spec.train.epochs,
        crate::text::number(uniform),
    )
}

fn curves_of(stored: &Stored) -> LossCurves {
    let longest = stored.curves.iter().max_by_key(|rows| rows.len());
    let series = |of: fn(&MetricsRow) -> f64| {
        stored.curves.iter().map(|rows| rows.iter().map(of).collect()).collect()
    };
    let (uniform, uniform_label) = stored.uniform();
    LossCurves {
        variant: stored.label().into(),
        epochs: longest.into_iter().flatten().map(|row| row.epoch as f64).collect(),
        train: series(|row| row.train_nll),
        held_out: series(|row| row.held_out_nll.unwrap_or(f64::NAN)),
        uniform,
        uniform_label,
    }
}

/// The effective weights of the first seed: entities differ between seeds, a mean would show none.
fn weights_of(store: &Store, stored: &Stored) -> Result<Option<EffectiveWeights>, ReportError> {
    let Some(run) = stored.runs.first() else { return Ok(None) };
    let Some(weights) = last_effective_weights(&stored.experiment, store, run.seed)? else {
        return Ok(None);
    };
    let panels = weights.groups.iter().map(|group| {
        let matrix = &group.single_token;
        WeightPanel {
            group: group.id.into(),
            title: group.name.into(),
            row_label: "given entity".into(),
            column_label: "logit of candidate".into(),
            rows: matrix.size(),
            columns: matrix.size(),
            values: matrix.values().to_vec(),
            margin: matrix.margin(),
        }
    });
    let variant = format!("{}, seed {}", stored.label(), run.seed);
    Ok(Some(EffectiveWeights { variant, panels: panels.collect(), frames: Vec::new() }))
}

/// What the table of numbers holds: heading with unit, and value.
type Measure = (&'static str, fn(&RunResult) -> Option<f64>);

const MEASURES: [Measure; 8] = [
    ("train NLL (nats)", |run| Some(run.last?.train_nll)),
    ("held-out NLL (nats)", |run| run.last?.held_out_nll),
    ("held-out top-1", |run| run.last?.held_out_top1),
    ("asymmetry", |run| run.indexes.asymmetry),
    ("asymmetry in context", |run| run.indexes.asymmetry_in_context),
    ("unseen top-1 among candidates", |run| run.indexes.unseen_top1_among_candidates),
    ("intransitivity", |run| run.indexes.intransitivity),
    ("time a step (ms)", RunResult::ms_per_step),
];

fn table_of(stored: &Stored, owner: Option<Scale>) -> report::Experiment {
    let shown: Vec<&Measure> = MEASURES
        .iter()
        .filter(|(_, value)| stored.runs.iter().any(|r| value(r).is_some()))
        .collect();
    let rows = stored.runs.iter().map(|run| SeedRow {
        seed: run.seed,
        status: "complete".into(),
        values: shown.iter().map(|(_, value)| value(run).unwrap_or(f64::NAN)).collect(),
    });
    let tied = stored.experiment.spec.model.tie_head;
    report::Experiment {
        name: match (owner, tied) {
            (Some(_), false) => "reversal".into(),
            (Some(_), true) => "reversal-tied".into(),
            (None, _) => stem(&stored.experiment),
        },
        label: stored.label().into(),
        hash: stored.experiment.hash.to_string(),
        spec_toml: stored.experiment.spec.to_toml(),
        measures: shown.iter().map(|(heading, _)| (*heading).to_owned()).collect(),
        rows: rows.collect(),
        wall_seconds: stored.wall_seconds(),
        machine: stored.machine.as_ref().map(machine_name).unwrap_or_default(),
    }
}

fn machine_name(machine: &Machine) -> String {
    let cores = if machine.cores == 1 { "core" } else { "cores" };
    format!("{}, {} {cores}, {}", machine.cpu, machine.cores, machine.os)
}

/// A stem for files: the experiment's name and the beginning of its hash.
fn stem(experiment: &Experiment) -> String {
    let name = experiment.spec.name.to_ascii_lowercase();
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    let name: String = name.chars().map(plain).collect();
    format!("{name}-{}", &experiment.hash.to_string()[..8])
}
