//! A sentence of words, of which some are names.

/// A word, or a name with the letters that a template joins to it, as in `France's`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// The white space before it.
    pub gap: String,
    /// The text.
    pub text: String,
    /// The name that it is, or is a word of.
    pub name: Option<String>,
}

/// A sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentence {
    /// Its words and names.
    pub units: Vec<Unit>,
    /// The punctuation at its end.
    pub end: String,
}

impl Sentence {
    /// The sentence of a template's parts: texts, and names.
    pub(crate) fn of(parts: &[Part<'_>]) -> Self {
        let mut units: Vec<Unit> = Vec::new();
        let mut gap = String::new();
        // Whether the next letter belongs to the last unit.
        let mut open = false;
        for part in parts {
            match part {
                Part::Name(name) => {
                    let name = Some((*name).to_owned());
                    match units.last_mut().filter(|unit| open && unit.name.is_none()) {
                        Some(last) => {
                            last.text.push_str(name.as_deref().unwrap_or_default());
                            last.name = name;
                        }
                        None => {
                            let text = name.clone().unwrap_or_default();
                            units.push(Unit { gap: std::mem::take(&mut gap), text, name });
                        }
                    }
                    open = true;
                }
                Part::Text(text) => {
                    for letter in text.chars() {
                        if letter.is_whitespace() {
                            gap.push(letter);
                            open = false;
                        } else if let Some(last) = units.last_mut().filter(|_| open) {
                            last.text.push(letter);
                        } else {
                            let gap = std::mem::take(&mut gap);
                            units.push(Unit { gap, text: letter.to_string(), name: None });
                            open = true;
                        }
                    }
                }
            }
        }
        let mut sentence = Self { units, end: String::new() };
        if let Some(last) = sentence.units.last_mut() {
            // The end of a name, as of `Inc.`, stays.
            let least =
                last.name.as_ref().map_or(0, |n| last.text.find(n.as_str()).unwrap_or(0) + n.len());
            let kept = last.text.trim_end_matches(['.', '!', '?', '。']).len().max(least);
            sentence.end = last.text.split_off(kept);
        }
        sentence
    }

    /// The sentence of these units in a new order, with single spaces between them.
    pub(crate) fn reordered(units: impl IntoIterator<Item = Unit>, end: &str) -> Self {
        let space = |(at, unit): (usize, Unit)| Unit {
            gap: if at == 0 { String::new() } else { " ".to_owned() },
            ..unit
        };
        Self { units: units.into_iter().enumerate().map(space).collect(), end: end.to_owned() }
    }

    /// The whole sentence.
    pub fn text(&self) -> String {
        let units: String = self.units.iter().map(|unit| unit.gap.clone() + &unit.text).collect();
        units + &self.end
    }

    /// The text before its last name, without the space between, and the text from that name on,
    /// which begins with the space. The first is empty if the sentence begins with its last name.
    pub fn cut(&self) -> (String, String) {
        let last = self.units.iter().rposition(|unit| unit.name.is_some());
        let mut at = last.unwrap_or(0);
        let name = |at: usize| self.units[at].name.as_ref();
        // A name whose words are in reverse is several units.
        while at > 0 && last.is_some() && name(at - 1) == name(at) {
            at -= 1;
        }
        let part = |units: &[Unit]| -> String {
            units.iter().map(|unit| unit.gap.clone() + &unit.text).collect()
        };
        let (before, after) = self.units.split_at(at);
        (part(before), part(after) + &self.end)
    }

    /// The number of its words, parted by white space.
    pub fn words(&self) -> usize {
        self.text().split_whitespace().count()
    }

    /// The names in it, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.units.iter().filter_map(|unit| unit.name.as_deref())
    }
}

/// A part of a template with its name filled in.
pub(crate) enum Part<'p> {
    /// Text of the template.
    Text(&'p str),
    /// A name.
    Name(&'p str),
}
