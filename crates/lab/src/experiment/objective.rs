//! The objective that a spec asks for.

use retrodict_engine::{Focal, LabelSmoothing, Margin};
use retrodict_facts::{DataConfig, Dataset, EntityType, TrainingSet, TrainingSetSize};
use retrodict_models::{LossFunction, LossOn, Objective, Pairs, PenaltyOn, Reading, Term};

use crate::spec::{self, LossName, ModelKind, ObjectiveSpec, ReadingName, Spec};

/// The token after the next: what `objective.ahead` asks for.
const AHEAD: usize = 2;

/// Refuses settings that exclude each other.
///
/// # Errors
/// The keys, what they are and what would be right.
pub(super) fn check(spec: &Spec, data: &DataConfig) -> Result<(), String> {
    let (asked, model) = (&spec.objective, &spec.model);
    let one_length = spec.data.recipes.is_empty();
    if asked.ahead > 0.0 && asked.reading != ReadingName::NextToken {
        return Err(format!(
            "`objective.ahead` = {} needs `objective.reading` = \"next-token\"",
            asked.ahead
        ));
    }
    if asked.contrastive > 0.0 && !(one_length && asked.reading == ReadingName::NextToken) {
        return Err(format!(
            "`objective.contrastive` = {} needs sentences of one length, read from left to right: \
             no `data.recipes`, and `objective.reading` = \"next-token\"",
            asked.contrastive
        ));
    }
    if asked.symmetry > 0.0 && !(data.kind() == "reversal" && data.entity_length() == 1) {
        return Err(format!(
            "`objective.symmetry` = {} needs `data.kind` = \"reversal\" with entities of one token",
            asked.symmetry
        ));
    }
    if asked.reading == ReadingName::Masked
        && model.kind == ModelKind::Decoder
        && !model.design.mixer.sees_all()
    {
        return Err("`objective.reading` = \"masked\" needs `model.mixer` = \"bidirectional\": a \
                    causal model does not see what stands behind the mask"
            .to_owned());
    }
    if asked.reading != ReadingName::Masked && model.design.mixer.sees_all() {
        return Err(
            "`model.mixer` = \"bidirectional\" needs `objective.reading` = \"masked\": it \
                    would see the token that it is asked for"
                .to_owned(),
        );
    }
    if model.kind != ModelKind::Decoder && data.entity_length() > 1 {
        return Err(format!(
            "`model.kind` = \"{}\" reads entities of one token, and `data.entity_length` is {}",
            spec::Keyword::word(model.kind),
            data.entity_length()
        ));
    }
    Ok(())
}

/// What the spec alone decides.
pub(super) fn objective(spec: &Spec, data: &DataConfig, size: TrainingSetSize) -> Objective {
    let asked = &spec.objective;
    let entity_length = data.entity_length();
    Objective {
        sentence_length: size.longest,
        entity_length,
        shortest_context: size.longest - entity_length,
        loss_on: match spec.train.loss_on {
            spec::LossOn::LastEntity => LossOn::LastEntity,
            spec::LossOn::Sequence => LossOn::Sequence,
        },
        reading: match asked.reading {
            ReadingName::NextToken => Reading::NextToken,
            ReadingName::Masked => Reading::Masked { mask: size.vocab as u32 },
            ReadingName::Permuted => Reading::Permuted,
        },
        function: match asked.loss {
            LossName::CrossEntropy => LossFunction::CrossEntropy,
            LossName::LabelSmoothing => {
                LossFunction::LabelSmoothing(LabelSmoothing { loss_parameter: asked.loss_parameter })
            }
            LossName::Focal => LossFunction::Focal(Focal { loss_parameter: asked.loss_parameter }),
            LossName::Margin => LossFunction::Margin(Margin { loss_parameter: asked.loss_parameter }),
        },
        terms: terms(asked),
    }
}

fn terms(asked: &ObjectiveSpec) -> Vec<Term> {
    let penalties = [
        (asked.squares, PenaltyOn::Squares),
        (asked.soft_tie, PenaltyOn::HeadFromEmbeddings),
        (asked.antisymmetry, PenaltyOn::Asymmetry),
        (asked.nuclear_norm, PenaltyOn::NuclearNorm),
        (asked.spectral_norm, PenaltyOn::SpectralNorm),
    ];
    let on_parameters = penalties.map(|(strength, on)| Term::Penalty { strength, on });
    let ahead = Term::Ahead { distance: AHEAD, strength: asked.ahead };
    let (strength, temperature) = (asked.contrastive, asked.temperature);
    let contrastive = Term::Contrastive { strength, temperature };
    let all = [ahead, contrastive].into_iter().chain(on_parameters);
    all.filter(|term| term.strength() > 0.0).collect()
}

/// What the data set adds: the shortest context, and entities whose logits should agree.
pub(super) fn with_data(
    objective: &Objective,
    spec: &Spec,
    dataset: &Dataset,
    training_set: &TrainingSet,
) -> Objective {
    let mut objective = objective.clone();
    let trained = training_set.sentences.iter().map(|s| s.tokens.len() - s.answer);
    let scored = dataset.held_out.iter().map(|tokens| tokens.len() - dataset.entity_length);
    let shortest = trained.chain(scored).min();
    objective.shortest_context = shortest.unwrap_or(objective.shortest_context);
    let strength = spec.objective.symmetry;
    if strength > 0.0 {
        let pairs = pairs(dataset, spec.objective.symmetry_in_context);
        objective.terms.push(Term::Symmetry { strength, pairs });
    }
    objective
}

/// All entities of a reversal data set, by their side.
fn pairs(dataset: &Dataset, in_context: bool) -> Pairs {
    let queries = || dataset.groups.iter().flat_map(|group| &group.queries);
    let answers = |kind: EntityType| -> Vec<u32> {
        let of = queries().filter(|query| query.answer_type == kind);
        let mut tokens: Vec<u32> = of.map(|query| query.answer[0]).collect();
        tokens.sort_unstable();
        tokens.dedup();
        tokens
    };
    let relation = |kind: EntityType| {
        queries().find(|query| query.answer_type == kind).map_or(0, |query| query.relation)
    };
    Pairs {
        left: answers(EntityType::X),
        right: answers(EntityType::Y),
        relations: in_context.then(|| [relation(EntityType::Y), relation(EntityType::X)]),
    }
}
