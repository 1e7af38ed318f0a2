//! The user's own experiments, one section each.

use retrodict_lab::Experiment;
use retrodict_lab::name::slug;
use retrodict_lab::store::Store;

use super::{Stored, draw};
use crate::figure::loss_curves;
use crate::{ReportError, Section};

/// Experiments that differ only in the head share a section, the free one first.
pub(super) fn sections(store: &Store, all: &[&Stored]) -> Result<Vec<Section>, ReportError> {
    let mut groups: Vec<Vec<&Stored>> = Vec::new();
    for &stored in all {
        let fits = |group: &&mut Vec<&Stored>| {
            let same = |other: &&Stored| other.free_headed() == stored.free_headed();
            // Two experiments with one spec and two names stay apart, as do two free heads.
            group.iter().all(|other| same(other) && other.tied() != stored.tied())
        };
        match groups.iter_mut().find(fits) {
            Some(group) => group.push(stored),
            None => groups.push(vec![stored]),
        }
    }
    for group in &mut groups {
        group.sort_by_key(|stored| stored.tied());
    }
    groups.sort_by_key(|group| group[0].experiment.spec.name.clone());
    groups.iter().map(|group| section(store, group)).collect()
}

fn section(store: &Store, group: &[&Stored]) -> Result<Section, ReportError> {
    let (first, name) = (group[0], &group[0].experiment.spec.name);
    let stem_of_first = stem(&first.experiment);
    let label = |stored: &Stored| if stored.tied() { "tied head" } else { "free head" };
    let curves: Vec<_> = group.iter().map(|s| draw::curves(s, label(s))).collect();
    let title = format!("{name}: loss curves");
    let mut figures = vec![loss_curves(&format!("loss-{stem_of_first}"), &title, &curves)];
    let weights = group
        .iter()
        .filter_map(|stored| draw::weights(store, stored, label(stored)).transpose())
        .collect::<Result<Vec<_>, _>>()?;
    let (file, title) = (format!("weights-{stem_of_first}"), format!("{name}: effective weights"));
    figures.extend(draw::weights_figure(&file, &title, &weights));
    Ok(Section {
        name: stem_of_first,
        heading: name.clone(),
        source: "your own experiment".into(),
        see: String::new(),
        finding: draw::finding(group),
        figures,
        claims: Vec::new(),
        experiments: group
            .iter()
            .map(|s| draw::table_of(s, stem(&s.experiment), label(s).to_owned()))
            .collect(),
    })
}

/// A stem for files: the experiment's name and the beginning of its hash.
fn stem(experiment: &Experiment) -> String {
    slug(&experiment.spec.name, &experiment.hash.to_string()[..8])
}
