//! Takes entries one by one, each checked against its type and range. Problems are gathered, so that
//! the first in the text is the one reported.

use std::collections::HashMap;

use crate::key::{one_line, path};
use crate::setting::one_of;
use crate::{
    Condition, Key, Located, Location, Options, Problem, Refused, Setting, SpecError, Value, join,
    nearest,
};

/// One `key = value` of a spec.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The section; empty for the keys above the first section.
    pub section: String,
    /// The key.
    pub key: String,
    /// Its value.
    pub value: Value,
    /// Its place.
    pub place: Place,
}

/// The place of an entry.
#[derive(Debug, Clone)]
pub struct Place {
    /// As it is shown.
    pub at: Location,
    /// Byte in the text; overrides come after it.
    pub position: usize,
}

impl Entry {
    /// `section.key`.
    pub fn path(&self) -> String {
        path(&self.section, &self.key)
    }
}

/// Entries that wait to be taken, and the problems met so far.
#[derive(Debug)]
pub struct Reader {
    entries: Vec<Entry>,
    found: Vec<Located>,
    origin: String,
    /// Every key that there is.
    keys: &'static [Key],
    /// The values read so far, in TOML without quotes, by path.
    values: HashMap<String, String>,
    /// The places of the keys that were taken, by path.
    places: HashMap<String, Place>,
    lenient: bool,
}

impl Reader {
    /// Reads `entries` of a spec that may have `keys`; `found` are problems met before, and `origin`
    /// is what the user calls the spec.
    pub fn new(
        entries: Vec<Entry>,
        found: Vec<Located>,
        origin: &str,
        keys: &'static [Key],
    ) -> Self {
        Self {
            entries,
            found,
            origin: origin.to_owned(),
            keys,
            values: HashMap::new(),
            places: HashMap::new(),
            lenient: false,
        }
    }

    /// Passes over keys that would have no effect, as the specs of older stores have them.
    pub fn lenient(self) -> Self {
        Self { lenient: true, ..self }
    }

    /// Notes a problem at a place.
    pub fn refuse(&mut self, place: &Place, problem: Problem) {
        let error = SpecError::new(place.at.clone(), problem);
        self.found.push(Located { position: place.position, error });
    }

    /// Notes a problem of the spec as a whole, to be reported if there is no other.
    pub fn refuse_whole(&mut self, problem: Problem) {
        let at = Location::Spec { origin: self.origin.clone() };
        let error = SpecError::new(at, problem);
        self.found.push(Located { position: usize::MAX, error });
    }

    /// Notes that `entry` holds a wrong value.
    pub fn refuse_value(&mut self, entry: &Entry, refused: Refused) {
        let key = entry.path();
        let problem = match refused {
            Refused::Right(right) => Problem::Value { key, found: entry.value.to_string(), right },
            Refused::Because(reason) => Problem::Other(format!("`{key}`: {reason}")),
        };
        self.refuse(&entry.place, problem);
    }

    /// Takes the entry of a key, if it is there.
    pub fn take(&mut self, section: &str, key: &str) -> Option<Entry> {
        let at = self.entries.iter().position(|e| e.section == section && e.key == key)?;
        let entry = self.entries.remove(at);
        self.places.insert(entry.path(), entry.place.clone());
        Some(entry)
    }

    /// The place of a key that was taken, for a problem found later.
    pub fn place(&self, section: &str, key: &str) -> Option<Place> {
        self.places.get(&path(section, key)).cloned()
    }

    /// The value of a key; `default` where it is not given, does not apply or is refused.
    pub fn value<S: Setting>(
        &mut self,
        (section, key): (&str, &str),
        default: S,
        range: &S::Range,
        options: Options,
    ) -> S {
        if options.fixed {
            return default;
        }
        let applies = options.when.is_none_or(|condition| self.holds(&condition));
        let entry = if applies { self.take(section, key) } else { None };
        let parsed = entry.map(|entry| (S::parse(&entry.value, range), entry));
        let value = match parsed {
            None => default,
            Some((Ok(value), _)) => value,
            Some((Err(refused), entry)) => {
                self.refuse_value(&entry, refused);
                default
            }
        };
        if let Some(text) = value.text() {
            self.values.insert(path(section, key), text.trim_matches('"').to_owned());
        }
        value
    }

    /// The word of a choice; `default` where it is not given. `""` where it is missing.
    pub fn choice(
        &mut self,
        (section, key): (&str, &str),
        words: &'static [&'static str],
        default: &'static str,
    ) -> &'static str {
        let path = path(section, key);
        let entry = self.take(section, key);
        let known = match &entry {
            Some(Entry { value: Value::Text(text), .. }) => {
                words.iter().find(|word| **word == text).copied()
            }
            Some(_) => None,
            None => Some(default),
        };
        match known {
            Some(word) if !word.is_empty() => {
                self.values.insert(path, word.to_owned());
                return word;
            }
            _ => {}
        }
        match entry {
            Some(entry) => {
                let right = one_of(words, Some(&entry.value));
                self.refuse_value(&entry, Refused::Right(right));
            }
            None => {
                let right = join(words.iter().copied(), "or");
                self.refuse_whole(Problem::Missing { key: path.clone(), right });
            }
        }
        self.pass_over_dependants(&path);
        default
    }

    /// Without a choice nobody can say which of the keys that depend on it are right.
    fn pass_over_dependants(&mut self, choice: &str) {
        let depends = |key: &Key| key.when.iter().any(|condition| condition.key == choice);
        let dependants: Vec<String> =
            self.keys.iter().filter(|key| depends(key)).map(Key::path).collect();
        self.entries.retain(|entry| !dependants.contains(&entry.path()));
    }

    fn holds(&self, condition: &Condition) -> bool {
        condition.holds(self.values.get(condition.key).map(String::as_str))
    }

    /// Refuses every entry that nobody took, then reports the first problem.
    ///
    /// # Errors
    /// The problem that stands first in the text.
    pub fn finish(mut self) -> Result<(), SpecError> {
        for entry in std::mem::take(&mut self.entries) {
            if let Some(problem) = self.untaken(&entry) {
                self.refuse(&entry.place, problem);
            }
        }
        // The sort is stable: of two problems with one key, the first met stays first.
        self.found.sort_by_key(|found| found.position);
        match self.found.into_iter().next() {
            Some(found) => Err(found.error),
            None => Ok(()),
        }
    }

    fn untaken(&self, entry: &Entry) -> Option<Problem> {
        let key = entry.path();
        let known: Vec<&Key> = self.keys.iter().filter(|known| known.path() == key).collect();
        if !known.is_empty() {
            return if self.lenient { None } else { self.no_effect(key, &known) };
        }
        Some(if entry.section.is_empty() && is_section(self.keys, &entry.key) {
            Problem::NotASection { section: key }
        } else {
            let hint = key_hint(self.keys, &entry.section, &entry.key);
            Problem::UnknownKey { key, hint }
        })
    }

    /// The condition that every description of a key wants first and that does not hold.
    fn no_effect(&self, key: String, known: &[&Key]) -> Option<Problem> {
        let unmet: Vec<&Condition> = known
            .iter()
            .filter_map(|known| known.when.iter().find(|condition| !self.holds(condition)))
            .collect();
        // The condition that comes first: with `model.kind` wrong, its mixer does not matter.
        let first = unmet.first()?;
        let wanted = unmet.iter().filter(|other| other.key == first.key);
        let mut right: Vec<String> = wanted.flat_map(|condition| condition.wanted()).collect();
        right.dedup();
        let value = self.values.get(first.key).map_or("not set", String::as_str);
        Some(Problem::NoEffect {
            key,
            found: format!("`{}` = {value}", first.key),
            right: join(right.iter().map(String::as_str), "or"),
        })
    }
}

/// Whether `[section]` exists.
pub fn is_section(keys: &[Key], section: &str) -> bool {
    !section.is_empty() && keys.iter().any(|key| key.section == section)
}

fn sections(keys: &[Key]) -> Vec<&'static str> {
    let mut sections: Vec<_> =
        keys.iter().map(|key| key.section).filter(|name| !name.is_empty()).collect();
    sections.dedup();
    sections
}

/// A hint for an unknown section.
pub fn section_hint(keys: &[Key], section: &str) -> String {
    let sections = sections(keys);
    match nearest(section, sections.iter().copied()) {
        Some(right) => format!("did you mean `[{right}]`?"),
        None => format!("the sections are {}", join(sections.into_iter(), "and")),
    }
}

/// A hint for an unknown key of `section`: a key of another section, the nearest here, the nearest
/// elsewhere, or a list of all.
fn key_hint(keys: &[Key], section: &str, key: &str) -> String {
    let mut homes: Vec<_> = keys
        .iter()
        .filter(|home| home.section != section && home.name == key)
        .map(|home| match home.section {
            "" => "at the top, above the first section".to_owned(),
            home => format!("in [{home}]"),
        })
        .collect();
    homes.dedup();
    if !homes.is_empty() {
        return format!("`{key}` belongs {}", homes.join(" or "));
    }
    let here = || keys.iter().filter(|known| known.section == section).map(|known| known.name);
    if let Some(right) = nearest(key, here()) {
        return format!("did you mean `{}`?", path(section, right));
    }
    if let Some(right) = nearest(key, keys.iter().map(|known| known.name)) {
        let home = keys.iter().find(|known| known.name == right);
        return format!("did you mean `{}`?", path(home.map_or("", |known| known.section), right));
    }
    let mut names: Vec<_> = here().collect();
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(*name));
    let names = join(names.into_iter(), "and");
    match section {
        "" => format!("the keys above the first section are {names}"),
        section => format!("the keys of [{section}] are {names}"),
    }
}

/// The description of a value, for [`settings!`](crate::settings).
#[doc(hidden)]
pub fn describe<S: Setting>(
    (section, name): (&'static str, &'static str),
    doc: &str,
    default: &S,
    range: &S::Range,
    options: Options,
    when: &[Condition],
) -> Option<Key> {
    let mut when = when.to_vec();
    when.extend(options.when);
    let (doc, right, default) = (one_line(doc), S::right(range), default.text());
    let hidden = options.hidden;
    (!options.fixed).then_some(Key { section, name, doc, right, default, hidden, when })
}

/// The description of a choice, for [`choice!`](crate::choice).
#[doc(hidden)]
pub fn describe_choice(
    (section, name): (&'static str, &'static str),
    doc: &str,
    words: &[&'static str],
    default: &str,
    when: &[Condition],
) -> Key {
    let right = join(words.iter().copied(), "or");
    let default = (!default.is_empty()).then(|| format!("\"{default}\""));
    let (doc, hidden, when) = (one_line(doc), false, when.to_vec());
    Key { section, name, doc, right, default, hidden, when }
}
