//! The columns of a file of facts.

use retrodict_settings::nearest;

use super::Stated;
use crate::{CorpusError, Direction, Fact, Trained};

/// The columns, in the order of [`Row::values`]; the first three are required.
pub(super) const COLUMNS: [&str; 7] =
    ["subject", "relation", "object", "inverse", "split", "group", "weight"];
/// The columns of the parents of celebrities of Berglund et al., arXiv 2309.12288.
const PARENTS: [&str; 3] = ["child", "parent_type", "parent"];
/// The required columns.
const REQUIRED: usize = 3;

/// The values of a row by [`COLUMNS`]; empty where there are none.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Row {
    pub(super) line: usize,
    pub(super) values: [String; COLUMNS.len()],
}

/// For each column of a file, the place of its values in a [`Row`].
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Header(Vec<Option<usize>>);

impl Header {
    /// The columns of these names. Other columns are ignored, unless the name is a near miss.
    ///
    /// # Errors
    /// The problem in words.
    pub(super) fn of<'n>(names: impl Iterator<Item = &'n str>) -> Result<Self, String> {
        let names: Vec<String> = names.map(|name| name.trim().to_lowercase()).collect();
        let parents = PARENTS.iter().all(|name| names.iter().any(|given| given == name));
        let place = |name: &str| {
            let parent = PARENTS.iter().position(|known| *known == name).filter(|_| parents);
            COLUMNS.iter().position(|known| *known == name).or(parent)
        };
        let places: Vec<Option<usize>> = names.iter().map(|name| place(name)).collect();
        for (at, found) in places.iter().enumerate() {
            if let Some(place) = found
                && places[..at].contains(&Some(*place))
            {
                return Err(format!("two columns are called `{}`; keep one", names[at]));
            }
        }
        for (name, _) in names.iter().zip(&places).filter(|(_, place)| place.is_none()) {
            let missing = |column: &&str| !places.contains(&place(column));
            if let Some(near) = nearest(name, COLUMNS.iter().copied().filter(missing)) {
                return Err(format!("there is no column `{name}`; did you mean `{near}`?"));
            }
        }
        for (at, column) in COLUMNS[..REQUIRED].iter().enumerate() {
            if !places.contains(&Some(at)) {
                return Err(format!(
                    "there is no column `{column}`: the columns are subject, relation and object, \
                     and if wanted inverse, split, group and weight"
                ));
            }
        }
        Ok(Self(places))
    }

    /// The row of these values.
    pub(super) fn row<'v>(&self, line: usize, values: impl Iterator<Item = &'v str>) -> Row {
        let mut row = Row { line, ..Row::default() };
        for (place, value) in self.0.iter().zip(values) {
            if let Some(place) = place {
                row.values[*place] = value.trim().to_owned();
            }
        }
        row
    }
}

impl Row {
    /// The fact of this row.
    pub(super) fn stated(self, file: &str) -> Result<Stated, CorpusError> {
        let Self { line, values: [subject, relation, object, inverse, split, group, weight] } =
            self;
        let refuse = |problem: String| CorpusError::at(file, line, problem);
        let relation =
            relation.strip_prefix("ParentType.").map_or(relation.clone(), str::to_lowercase);
        for (column, value) in [("subject", &subject), ("relation", &relation), ("object", &object)]
        {
            if value.is_empty() {
                return Err(refuse(format!("`{column}` is empty; give it, or leave out the line")));
            }
        }
        for (column, value) in [("subject", &subject), ("object", &object)] {
            if value.chars().any(char::is_control) {
                return Err(refuse(format!(
                    "`{column}` has a line break or another control character"
                )));
            }
            if !value.chars().any(char::is_alphanumeric) {
                return Err(refuse(format!(
                    "`{column}` is `{value}`, which has no letter or digit"
                )));
            }
        }
        if subject == object {
            return Err(refuse(format!(
                "subject and object are both `{subject}`: neither direction of it can be asked"
            )));
        }
        let trained = match split.as_str() {
            "" => None,
            word => Some(Trained::from_word(word).ok_or_else(|| {
                refuse(format!("`split` is `{word}`, but must be {}", Trained::WORDS))
            })?),
        };
        let weight =
            match weight.as_str() {
                "" => 1.0,
                text => text.parse().ok().filter(|x: &f64| *x > 0.0 && x.is_finite()).ok_or_else(
                    || refuse(format!("`weight` is `{text}`, but must be a finite number above 0")),
                )?,
            };
        let group = Some(group).filter(|group| !group.is_empty());
        let inverse = Some(inverse).filter(|inverse| !inverse.is_empty());
        let fact = Fact { line, subject, relation, object, trained, group, weight };
        Ok(Stated { fact, inverse })
    }
}

impl Stated {
    /// The same fact with subject and object exchanged.
    pub(crate) fn swap(&mut self, relation: &str) {
        let fact = &mut self.fact;
        std::mem::swap(&mut fact.subject, &mut fact.object);
        let before = std::mem::replace(&mut fact.relation, relation.to_owned());
        self.inverse = Some(before);
        fact.trained = fact.trained.map(Trained::swapped);
    }

    /// The directions in which it is trained, in words.
    pub(crate) fn split_word(&self) -> &'static str {
        match self.fact.trained {
            None => "empty",
            Some(Trained::Both) => "both",
            Some(Trained::Only(Direction::Forward)) => "forward",
            Some(Trained::Only(Direction::Reverse)) => "reverse",
        }
    }
}
