//! The objective of a spec.

use retrodict_facts::{DataConfig, Dataset, EntityType, TrainingSet, TrainingSetSize};
use retrodict_models::{Masking, Objective, Pairs, ReadingName, Term};

use crate::spec::Spec;

/// Refuses settings that exclude each other.
///
/// # Errors
/// The keys, their values and what would be right.
pub(super) fn check(spec: &Spec, data: &DataConfig) -> Result<(), String> {
    let asked = &spec.objective;
    let sees_all = spec.model.decoder().map(|decoder| decoder.design.mixer.sees_all());
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
    let plain = one_length && data.entity_length() == 1 && sees_all == Some(false);
    if asked.joint_embedding && !plain {
        return Err(
            "`objective.joint_embedding` needs a decoder that reads entities of one token, \
                    in sentences of one length, from left to right: no `data.recipes`, \
                    `objective.reading` = \"next-token\" and `data.entity_length` = 1"
                .to_owned(),
        );
    }
    let long_triples = one_length && data.entity_length() > 1 && data.word() != "icl";
    if asked.masking == Masking::Entities && !long_triples {
        return Err(
            "`objective.masking` = \"entities\" needs sentences of a source, a relation and \
                    an answer, with entities of several tokens: no `data.recipes`, and \
                    `data.entity_length` above 1"
                .to_owned(),
        );
    }
    let packs = spec.data.pack > 1;
    let one_by_one = asked.reading != ReadingName::NextToken
        || asked.ahead > 0.0
        || asked.contrastive > 0.0
        || asked.joint_embedding
        || sees_all.is_none();
    if packs && one_by_one {
        return Err(format!(
            "`data.pack` = {} needs sentences that a decoder reads from left to right: \
             `model.kind` = \"decoder\", `objective.reading` = \"next-token\", and no \
             `objective.ahead` or `objective.contrastive`",
            spec.data.pack
        ));
    }
    if asked.symmetry > 0.0 && !(data.word() == "reversal" && data.entity_length() == 1) {
        return Err(format!(
            "`objective.symmetry` = {} needs `data.kind` = \"reversal\" with entities of one token",
            asked.symmetry
        ));
    }
    if asked.reading == ReadingName::Masked && sees_all == Some(false) {
        return Err("`objective.reading` = \"masked\" needs `model.mixer` = \"bidirectional\": a \
                    causal model does not see what stands behind the mask"
            .to_owned());
    }
    if asked.reading != ReadingName::Masked && sees_all == Some(true) {
        return Err(
            "`model.mixer` = \"bidirectional\" needs `objective.reading` = \"masked\": it \
                    would see the token that it is asked for"
                .to_owned(),
        );
    }
    if sees_all.is_none() && !spec.train.decay_norms {
        return Err(format!(
            "`train.decay_norms` = false has no effect with `model.kind` = \"{}\", which has neither \
             biases nor norms; leave it out",
            spec.model.word()
        ));
    }
    if sees_all.is_none() && data.entity_length() > 1 {
        return Err(format!(
            "`model.kind` = \"{}\" reads entities of one token, and `data.entity_length` is {}",
            spec.model.word(),
            data.entity_length()
        ));
    }
    Ok(())
}

/// The objective without the parts that depend on the data set.
pub(super) fn objective(spec: &Spec, data: &DataConfig, size: TrainingSetSize) -> Objective {
    let asked = &spec.objective;
    let entity_length = data.entity_length();
    Objective {
        sentence_length: size.longest,
        entity_length,
        shortest_context: size.longest - entity_length,
        pack: spec.data.pack,
        loss_on: spec.train.loss_on,
        reading: asked.reading(size.vocab),
        function: asked.loss,
        joint_embedding: asked.joint_embedding,
        terms: asked.terms(),
    }
}

/// Adds the parts that depend on the data set: the shortest context, and entities whose logits
/// should agree.
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
