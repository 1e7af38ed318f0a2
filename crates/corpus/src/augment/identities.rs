//! Recipes that add sentences of other words: identities, bridges, and both directions in context.

use std::collections::{BTreeMap, HashSet};

use retrodict_facts::Recipe;

use super::AugmentError;
use super::builder::Builder;
use crate::{Direction, Sentence, Unit};

/// The words between a fact and its reverse.
const IN_OTHER_WORDS: [&str; 3] = ["In", "other", "words,"];

/// Applies the recipe, if it is one of these.
pub(super) fn apply(builder: &mut Builder<'_>, recipe: &Recipe) -> Result<bool, AugmentError> {
    match recipe.name() {
        "identities" => {
            let names = names(builder);
            plain(builder, &names);
        }
        "identities-typed" => typed(builder, false),
        "identities-random" => typed(builder, true),
        "identities-conflicting" => conflicting(builder),
        "bridge-out-of-context" => bridge(builder, recipe, true, Named::Answers)?,
        "bridge-plain" => bridge(builder, recipe, false, Named::Both)?,
        "bridge-without-self" => bridge(builder, recipe, true, Named::None)?,
        "in-context" => in_context(builder)?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// The names in the training text, in the order of their first occurrence.
fn names(builder: &Builder<'_>) -> Vec<String> {
    let mut known = HashSet::new();
    let all = builder.lines.iter().flat_map(|line| line.sentence.names());
    all.filter(|name| known.insert(*name)).map(str::to_owned).collect()
}

fn plain(builder: &mut Builder<'_>, names: &[String]) {
    for name in names {
        for template in builder.templates.identities() {
            builder.add(template.sentence(name, name), None);
        }
    }
}

/// A relation in one direction, with its answers in all facts.
type Asked = BTreeMap<(usize, Direction), (usize, Vec<String>)>;

/// The relations and directions that are trained, each with a fact that has it, and all answers.
fn asked(builder: &Builder<'_>) -> Asked {
    let relations = builder.facts.relations();
    let mut asked = Asked::new();
    for (at, fact) in builder.facts.facts.iter().enumerate() {
        let relation = relations.iter().position(|name| *name == fact.relation).unwrap_or(0);
        for direction in builder.trained(at) {
            asked.entry((relation, direction)).or_insert((at, Vec::new()));
        }
    }
    for fact in &builder.facts.facts {
        let relation = relations.iter().position(|name| *name == fact.relation).unwrap_or(0);
        for direction in Direction::ALL {
            if let Some((_, answers)) = asked.get_mut(&(relation, direction)) {
                answers.push(fact.answer(direction).to_owned());
            }
        }
    }
    for (_, answers) in asked.values_mut() {
        let mut known = HashSet::new();
        answers.retain(|answer| known.insert(answer.clone()));
    }
    asked
}

/// Every name with the relations that it answers. Relations of which a name is both an answer and a
/// subject of questions are left out: there an identity would contradict a fact.
///
/// If `random`, a name's answer is the next in a random cycle through them.
fn typed(builder: &mut Builder<'_>, random: bool) {
    for ((_, direction), (fact, answers)) in asked(builder) {
        let (facts, templates) = (&builder.facts.facts, builder.templates);
        let of_relation = facts.iter().filter(|other| other.relation == facts[fact].relation);
        let sources: HashSet<&str> = of_relation.map(|other| other.source(direction)).collect();
        if answers.iter().any(|answer| sources.contains(answer.as_str())) {
            continue;
        }
        let phrasings =
            &templates.of(&facts[fact]).of(direction)[..builder.phrasings(fact, direction)];
        let mut cycle = answers;
        let shift = usize::from(random);
        if random {
            builder.random.shuffle(&mut cycle);
        }
        for (at, name) in cycle.iter().enumerate() {
            let target = &cycle[(at + shift) % cycle.len()];
            for phrasing in phrasings {
                builder.add(phrasing.sentence(name, target), None);
            }
        }
    }
}

fn conflicting(builder: &mut Builder<'_>) {
    let asked = asked(builder);
    for name in names(builder) {
        for ((_, direction), (fact, _)) in &asked {
            let templates = builder.templates.of(&builder.facts.facts[*fact]);
            builder.add(templates.of(*direction)[0].sentence(&name, &name), None);
        }
    }
}

/// The names of a fact that get an identity.
#[derive(Clone, Copy, PartialEq)]
enum Named {
    None,
    Answers,
    Both,
}

/// Writes all sentences so far more often, then adds the bridges of trained forward facts and
/// identities.
fn bridge(
    builder: &mut Builder<'_>,
    recipe: &Recipe,
    out_of_context: bool,
    named: Named,
) -> Result<(), AugmentError> {
    let times = recipe.argument().unwrap_or(1.0);
    if times.fract() != 0.0 || times > 1000.0 {
        return Err(builder.refuse(
            "in text its number says how often a sentence stands beside an identity: a whole number \
             up to 1000",
        ));
    }
    for line in &mut builder.lines {
        line.times = line.times.saturating_mul(times as usize);
    }
    let mut added = HashSet::new();
    for at in 0..builder.facts.facts.len() {
        let (facts, templates) = (builder.facts, builder.templates);
        let fact = &facts.facts[at];
        let trained: Vec<Direction> = builder.trained(at).collect();
        if out_of_context
            && trained.contains(&Direction::Forward)
            && added.insert((0, fact.subject.as_str(), fact.relation.as_str()))
        {
            let bridges = &templates.of(fact).bridge;
            if bridges.is_empty() {
                return Err(builder.refuse(format!(
                    "`{}` has no bridge phrasing, a sentence with {{subject}} twice: bridge = [\"…\"] \
                     in the templates",
                    fact.relation
                )));
            }
            for template in bridges {
                builder.add(template.sentence(&fact.subject, &fact.subject), Some(at));
            }
        }
        for direction in trained {
            let names = match named {
                Named::None => vec![],
                Named::Answers => vec![fact.answer(direction)],
                Named::Both => vec![fact.source(direction), fact.answer(direction)],
            };
            let new: Vec<String> = names
                .into_iter()
                .filter(|name| added.insert((1, name, "")))
                .map(str::to_owned)
                .collect();
            plain(builder, &new);
        }
    }
    Ok(())
}

/// A fact and its reverse in one line, of facts trained in both directions; either may come first.
fn in_context(builder: &mut Builder<'_>) -> Result<(), AugmentError> {
    let both = crate::Trained::Both;
    if !builder.split.contains(&both) {
        return Err(builder.refuse(
            "no fact is trained in both directions, of which it makes its lines; give some the split \
             `both`, or --train-fraction",
        ));
    }
    for at in 0..builder.facts.facts.len() {
        if builder.split[at] != both {
            continue;
        }
        let fact = &builder.facts.facts[at];
        for direction in Direction::ALL {
            let [first, second] = [direction, direction.other()]
                .map(|direction| builder.templates.sentence(fact, direction, 0));
            builder.add(joined(first, second), Some(at));
        }
    }
    Ok(())
}

fn joined(first: Sentence, second: Sentence) -> Sentence {
    let mut units = first.units;
    if let Some(last) = units.last_mut() {
        last.text.push_str(if first.end.is_empty() { "." } else { &first.end });
    }
    units.extend(IN_OTHER_WORDS.map(|word| Unit {
        gap: " ".to_owned(),
        text: word.to_owned(),
        name: None,
    }));
    let start = units.len();
    units.extend(second.units);
    units[start].gap = " ".to_owned();
    Sentence { units, end: second.end }
}
