//! A training text while recipes are applied.

use std::collections::HashSet;

use retrodict_facts::{RandomState, Recipe};

use super::{AugmentError, Augmented, Line, Settings, identities, orders};
use crate::leak::HeldOut;
use crate::{CorpusError, Direction, FactFile, Sentence, Templates, Trained};

/// Keeps the draws of recipes apart from those of the split of the same seed.
const SEED_OF_RECIPES: u32 = 0x5EC1_9E55;

pub(super) struct Builder<'a> {
    pub(super) facts: &'a FactFile,
    pub(super) templates: &'a Templates,
    pub(super) settings: &'a Settings,
    pub(super) split: Vec<Trained>,
    pub(super) random: RandomState,
    pub(super) lines: Vec<Line>,
    held_out: HeldOut,
    dropped: usize,
    /// The recipe that is applied.
    recipe: String,
}

impl<'a> Builder<'a> {
    /// The plain sentences: every trained direction of every fact, in every trained phrasing.
    pub(super) fn new(
        facts: &'a FactFile,
        templates: &'a Templates,
        settings: &'a Settings,
    ) -> Result<Self, AugmentError> {
        let split = facts.split(settings.train_fraction, settings.seed);
        let held_out = HeldOut::new(facts, templates, &split);
        let mut builder = Self {
            facts,
            templates,
            settings,
            split,
            random: RandomState::new(settings.seed ^ SEED_OF_RECIPES),
            lines: Vec::new(),
            held_out,
            dropped: 0,
            recipe: String::new(),
        };
        for (at, fact) in facts.facts.iter().enumerate() {
            let times = fact.weight.round();
            if times != fact.weight || times > 1000.0 {
                let problem = format!(
                    "`weight` is {}, but must be a whole number up to 1000 here: a sentence is \
                     written so often",
                    fact.weight
                );
                return Err(CorpusError::at(&facts.name, fact.line, problem).into());
            }
            for direction in builder.trained(at) {
                for phrasing in 0..builder.phrasings(at, direction) {
                    let sentence = templates.sentence(fact, direction, phrasing);
                    if let Some(leak) = builder.held_out.stated_in(&sentence.text()) {
                        let problem = format!(
                            "the {} phrasing “{}” states what line {} holds out ({}); give one of the \
                             facts another split, or the phrasing other words",
                            direction.word(),
                            sentence.text(),
                            facts.facts[leak.fact].line,
                            leak.direction.word()
                        );
                        return Err(CorpusError::at(&facts.name, fact.line, problem).into());
                    }
                    builder.lines.push(Line {
                        sentence,
                        fact: Some(at),
                        direction: Some(direction),
                        phrasing: Some(phrasing),
                        recipes: Vec::new(),
                        times: times as usize,
                    });
                }
            }
        }
        Ok(builder)
    }

    /// The trained directions of a fact.
    pub(super) fn trained(&self, fact: usize) -> impl Iterator<Item = Direction> + use<> {
        let trained = self.split[fact];
        Direction::ALL.into_iter().filter(move |direction| trained.includes(*direction))
    }

    /// The number of trained phrasings of a direction of a fact.
    pub(super) fn phrasings(&self, fact: usize, direction: Direction) -> usize {
        let count = self.templates.of(&self.facts.facts[fact]).of(direction).len();
        count.saturating_sub(self.settings.held_phrasings).max(1)
    }

    pub(super) fn apply(&mut self, recipe: &Recipe) -> Result<(), AugmentError> {
        self.recipe = recipe.to_string();
        self.random = RandomState::new(self.settings.seed ^ SEED_OF_RECIPES);
        let known = orders::apply(self, recipe) || identities::apply(self, recipe)?;
        match (known, recipe.name()) {
            (true, _) => Ok(()),
            (false, "third-relation" | "chain-of-thought") => {
                Err(self.refuse("it needs chains of facts, which a file of facts does not have"))
            }
            (false, _) => Err(self.refuse("it has no form for text")),
        }
    }

    /// The error of the recipe that is applied.
    pub(super) fn refuse(&self, problem: impl Into<String>) -> AugmentError {
        AugmentError::Recipe { recipe: self.recipe.clone(), problem: problem.into() }
    }

    /// Adds a sentence about names, unless it states a held-out direction.
    pub(super) fn add(&mut self, sentence: Sentence, fact: Option<usize>) {
        let recipes = vec![self.recipe.clone()];
        self.add_line(Line { sentence, fact, direction: None, phrasing: None, recipes, times: 1 });
    }

    fn add_line(&mut self, line: Line) {
        match self.held_out.stated_in(&line.sentence.text()) {
            Some(_) => self.dropped += line.times,
            None => self.lines.push(line),
        }
    }

    /// Adds the sentences that `rewrite` returns for each sentence so far. One that returns itself is
    /// not added again.
    pub(super) fn rewrite(
        &mut self,
        mut rewrite: impl FnMut(&mut Self, &Sentence) -> Vec<Sentence>,
    ) {
        for line in self.lines.clone() {
            let mut known = HashSet::from([line.sentence.text()]);
            for sentence in rewrite(self, &line.sentence) {
                if known.insert(sentence.text()) {
                    let mut recipes = line.recipes.clone();
                    recipes.push(self.recipe.clone());
                    self.add_line(Line { sentence, recipes, ..line.clone() });
                }
            }
        }
    }

    pub(super) fn finish(self) -> Augmented {
        Augmented { split: self.split, lines: self.lines, dropped: self.dropped }
    }
}
