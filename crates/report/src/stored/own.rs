//! The user's own experiments: a section for each name, whose settings are told apart by the keys
//! that differ.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use retrodict_lab::name::slug;
use retrodict_lab::store::Store;
use retrodict_lab::{Experiment, Measure};

use super::over::over;
use super::{Stored, draw};
use crate::figure::{Figure, loss_curves};
use crate::paper::{Over, Place, Variant};
use crate::{Part, ReportError, Section};

/// More settings than this have no loss curves: their panels would be too small to read.
const MOST_CURVES: usize = 12;
/// More settings than this have no heatmaps, which are large.
const MOST_HEATMAPS: usize = 3;
/// More panels than this are no small multiples.
const MOST_PANELS: usize = 12;
/// More lines than this in a panel cannot be told apart.
const MOST_LINES: usize = 6;

/// One section for each name.
pub(super) fn sections(store: &Store, all: &[&Stored]) -> Result<Vec<Section>, ReportError> {
    let mut groups: BTreeMap<&str, Vec<&Stored>> = BTreeMap::new();
    for stored in all {
        groups.entry(&stored.experiment.spec.name).or_default().push(stored);
    }
    groups.into_iter().map(|(name, group)| section(store, name, group)).collect()
}

fn section(store: &Store, name: &str, mut group: Vec<&Stored>) -> Result<Section, ReportError> {
    let keys = DifferingKeys::of(&group);
    group.sort_by(|a, b| keys.order(a, b));
    let labels: Vec<String> = group.iter().map(|stored| keys.label(stored)).collect();
    let labelled = || group.iter().copied().zip(&labels);
    let stem = match group[..] {
        // The hash keeps the names of files of one experiment as they were.
        [lone] => stem(&lone.experiment),
        _ => slug(name, "settings"),
    };
    let mut figures = Vec::new();
    let has_curves = group.iter().all(|stored| stored.curves.iter().any(|rows| !rows.is_empty()));
    if group.len() <= MOST_CURVES && has_curves {
        let curves: Vec<_> = labelled().map(|(s, label)| draw::curves(s, label)).collect();
        figures.push(loss_curves(
            &format!("loss-{stem}"),
            &format!("{name}: loss curves"),
            &curves,
        ));
    }
    figures.extend(keys.over(&stem, name, &group));
    if group.len() <= MOST_HEATMAPS {
        let weights = labelled()
            .filter_map(|(stored, label)| draw::weights(store, stored, label).transpose())
            .collect::<Result<Vec<_>, _>>()?;
        let (file, title) = (format!("weights-{stem}"), format!("{name}: effective weights"));
        figures.extend(draw::weights_figure(&file, &title, &weights));
    }
    Ok(Section {
        part: Part::Own,
        name: stem,
        heading: name.to_owned(),
        source: keys.source(group.len()),
        see: String::new(),
        finding: draw::finding(&group),
        figures,
        claims: Vec::new(),
        experiments: labelled()
            .map(|(s, label)| draw::table_of(s, self::stem(&s.experiment), label.clone()))
            .collect(),
    })
}

/// A stem for files: the experiment's name and the beginning of its hash.
fn stem(experiment: &Experiment) -> String {
    slug(&experiment.spec.name, &experiment.hash.to_string()[..8])
}

/// The keys of the specs of some experiments that differ, with the value of each experiment.
struct DifferingKeys {
    keys: Vec<DifferingKey>,
}

struct DifferingKey {
    path: String,
    /// Without its section, where that is enough.
    short: String,
    /// The values in TOML by hash; `None` where the key does not apply.
    values: BTreeMap<String, Option<String>>,
}

impl DifferingKey {
    fn value(&self, stored: &Stored) -> Option<&str> {
        self.values.get(&stored.experiment.hash.to_string())?.as_deref()
    }

    /// As a number; NaN if it is none.
    fn number(&self, stored: &Stored) -> f64 {
        self.value(stored).and_then(|value| value.parse().ok()).unwrap_or(f64::NAN)
    }

    fn is_number(&self) -> bool {
        self.values.values().flatten().all(|value| value.parse::<f64>().is_ok())
            && self.values.values().all(Option::is_some)
    }

    /// The number of its values.
    fn count(&self) -> usize {
        self.values.values().collect::<BTreeSet<_>>().len()
    }

    fn label(&self, stored: &Stored) -> String {
        match (self.path.as_str(), self.value(stored)) {
            ("model.tie_head", Some("true")) => "tied head".to_owned(),
            ("model.tie_head", Some(_)) => "free head".to_owned(),
            (_, Some(value)) => format!("{}\u{a0}{}", self.short, value.trim_matches('"')),
            (_, None) => format!("no {}", self.short),
        }
    }
}

impl DifferingKeys {
    fn of(group: &[&Stored]) -> DifferingKeys {
        let lines: Vec<BTreeMap<String, String>> = group
            .iter()
            .map(|stored| {
                let lines = stored.experiment.spec.lines();
                lines.into_iter().map(|line| (line.path(), line.value)).collect()
            })
            .collect();
        // In the order of a spec; what is measured and kept is no setting.
        let mut paths: Vec<String> = Vec::new();
        for line in group.iter().flat_map(|stored| stored.experiment.spec.lines()) {
            let setting = !matches!(line.section, "probe" | "checkpoint")
                && !matches!(line.key, "name" | "seeds");
            if setting && !paths.contains(&line.path()) {
                paths.push(line.path());
            }
        }
        paths.retain(|path| lines.iter().any(|own| own.get(path) != lines[0].get(path)));
        let short = |path: &str| path.rsplit('.').next().unwrap_or(path).replace('_', " ");
        let keys = paths.iter().map(|path| {
            let same = paths.iter().filter(|other| short(other) == short(path)).count();
            let values = group
                .iter()
                .zip(&lines)
                .map(|(stored, own)| (stored.experiment.hash.to_string(), own.get(path).cloned()));
            DifferingKey {
                path: path.clone(),
                short: if same > 1 { path.clone() } else { short(path) },
                values: values.collect(),
            }
        });
        DifferingKeys { keys: keys.collect() }
    }

    /// By the keys in their order, numbers by size; words, and what does not apply, by name.
    fn order(&self, a: &Stored, b: &Stored) -> Ordering {
        let by_key = self.keys.iter().map(|key| {
            let numbers = key.number(a).total_cmp(&key.number(b));
            numbers.then_with(|| key.value(a).cmp(&key.value(b)))
        });
        let by_hash = || a.experiment.hash.cmp(&b.experiment.hash);
        by_key.fold(Ordering::Equal, Ordering::then).then_with(by_hash)
    }

    fn label(&self, stored: &Stored) -> String {
        let labels: Vec<String> = self.keys.iter().map(|key| key.label(stored)).collect();
        match labels.is_empty() {
            // The only setting, or settings that differ in what was measured.
            true if stored.tied() => "tied head".to_owned(),
            true if stored.experiment.spec.model.decoder().is_some() => "free head".to_owned(),
            true => stored.experiment.spec.name.clone(),
            false => labels.join(", "),
        }
    }

    /// The keys that differ, in a sentence.
    fn source(&self, settings: usize) -> String {
        let names: Vec<&str> = self.keys.iter().map(|key| key.path.as_str()).collect();
        match (settings, names.is_empty()) {
            (1, _) => "your own experiment".to_owned(),
            (_, true) => format!("your own experiments: {settings} settings"),
            _ => format!("your own experiments: {settings} settings of {}", names.join(", ")),
        }
    }

    /// The last measures over the swept number with the most values: a line for each value of
    /// another key, a panel for those of the rest.
    fn over(&self, stem: &str, name: &str, group: &[&Stored]) -> Vec<Figure> {
        let swept = self.keys.iter().filter(|key| key.is_number() && key.path != "data.seed");
        // The first of several with as many.
        let Some(x) = swept.rev().max_by_key(|key| key.count()).filter(|key| key.count() > 1)
        else {
            return Vec::new();
        };
        let others = || self.keys.iter().filter(|key| key.path != x.path);
        let series = others().rev().max_by_key(|key| key.count());
        let series = series.filter(|key| key.count() <= MOST_LINES);
        let rest: Vec<&DifferingKey> =
            others().filter(|key| series.is_none_or(|series| key.path != series.path)).collect();
        const SWEEP: &str = "own";
        const REST: &str = "rest";
        let variants: Vec<Variant> = group
            .iter()
            .map(|stored| {
                let place = |key: &str, value: f64, label: String| Place {
                    sweep: SWEEP.to_owned(),
                    key: key.to_owned(),
                    value,
                    label,
                };
                let one =
                    |key: &DifferingKey| place(&key.path, key.number(stored), key.label(stored));
                let mut places = vec![one(x)];
                places.extend(series.map(one));
                let labels: Vec<String> = rest.iter().map(|key| key.label(stored)).collect();
                places.push(place(REST, f64::NAN, labels.join(", ")));
                Variant::placed(&stored.experiment.hash.to_string(), places)
            })
            .collect();
        let found: Vec<(&Variant, &Stored)> = variants.iter().zip(group.iter().copied()).collect();
        let panels = found.iter().filter_map(|(variant, _)| variant.places.last());
        let panels: BTreeSet<&str> = panels.map(|place| place.label.as_str()).collect();
        if panels.len() > MOST_PANELS {
            return Vec::new();
        }
        let values = || group.iter().map(|stored| x.number(stored));
        let (least, most) =
            (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
        let draw = |id: &str, title: &str, unit: &str, measures: &[&str]| {
            let axes = Over {
                sweep: SWEEP.to_owned(),
                x: x.path.clone(),
                x_label: x.path.clone(),
                x_log: least > 0.0 && most / least >= 20.0,
                y_label: unit.to_owned(),
                y_log: false,
                series: series.map(|key| key.path.clone()),
                panels: (panels.len() > 1).then(|| REST.to_owned()),
                measures: measures.iter().map(|id| Measure::named(id)).collect(),
                level: None,
            };
            over(&format!("{id}-{stem}"), &format!("{name}: {title}"), &axes, &found)
        };
        let nll = draw("nll", "NLL after training", "NLL (nats)", &["train_nll", "held_out_nll"]);
        let fractions = ["held_out_top1", "rank_type"];
        let known = draw("known", "what is answered and known", "fraction", &fractions);
        nll.into_iter().chain(known).collect()
    }
}
