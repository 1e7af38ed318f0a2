//! The section `[sweep]` of a spec.

use retrodict_settings::{
    Key, Keyword as _, Location, Place, Problem, SpecError, Value, is_section, nearest,
};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::axis::{Axis, Values, check_key};
use super::grid::{Assigned, Factor, Grid};
use super::sample::{MOST_DIMENSIONS, MOST_SAMPLES, Method, Sampling};
use super::text;
use crate::expression::{Expression, ExpressionError};
use crate::spec::document::convert;
use crate::spec::keys;

/// The names in a sweep that are no keys of a spec.
const WORDS: [&str; 5] = ["zip", "rows", "sampling", "samples", "seed"];

/// The line of a byte of the spec.
type Lines<'l> = dyn Fn(usize) -> Location + 'l;

/// A key of a spec, or one of [`WORDS`], with its value and its position.
type Item<'t> = (String, usize, DeValue<'t>);

/// The grids of `[sweep]`, or of several `[[sweep]]`.
///
/// # Errors
/// [`SpecError`] with the line.
pub(super) fn grids(
    position: usize,
    value: DeValue<'_>,
    lines: &Lines<'_>,
) -> Result<Vec<Grid>, SpecError> {
    let refuse = || {
        let problem = "`sweep` is a section: write [sweep] and its axes below it, as in \
                       \"model.layers\" = [1, 2], or [[sweep]] for each of several grids";
        SpecError::new(lines(position), Problem::Other(problem.to_owned()))
    };
    match value {
        DeValue::Table(table) => Ok(vec![grid(position, table, lines)?]),
        DeValue::Array(grids) if !grids.is_empty() => grids
            .into_iter()
            .map(|one| {
                let start = one.span().start;
                match one.into_inner() {
                    DeValue::Table(table) => grid(start, table, lines),
                    _ => Err(refuse()),
                }
            })
            .collect(),
        _ => Err(refuse()),
    }
}

fn grid(start: usize, table: DeTable<'_>, lines: &Lines<'_>) -> Result<Grid, SpecError> {
    let refuse =
        |position: usize, problem: String| SpecError::new(lines(position), Problem::Other(problem));
    let (mut axes, mut grid) = (Vec::<Axis>::new(), Grid::default());
    let (mut zips, mut rows) = (None, None);
    let (mut method, mut samples, mut seed) = (None, None, None);
    for (key, position, value) in items(table) {
        let place = Place { at: lines(position), position };
        match key.as_str() {
            "zip" => zips = Some((position, value)),
            "rows" => rows = Some((position, value)),
            "sampling" => {
                let value = convert(value);
                let known = match &value {
                    Value::Text(word) => Method::from_word(word),
                    _ => None,
                };
                let wrong = || {
                    format!(
                        "`sampling` is {value}; it must be \"random\" or \"sobol\", or left out \
                             for the product of all axes"
                    )
                };
                method = Some((position, known.ok_or_else(|| refuse(position, wrong()))?));
            }
            "samples" | "seed" => {
                let most = if key == "seed" { u64::from(u32::MAX) } else { MOST_SAMPLES };
                let least = u64::from(key == "samples");
                let value = convert(value);
                let number = match value {
                    Value::Integer(integer) => u64::try_from(integer).ok(),
                    _ => None,
                };
                let number = number.filter(|number| (least..=most).contains(number));
                let wrong = || {
                    format!("`{key}` is {value}; it must be a whole number from {least} to {most}")
                };
                let number = number.ok_or_else(|| refuse(position, wrong()))?;
                let of = if key == "seed" { &mut seed } else { &mut samples };
                *of = Some((position, number));
            }
            _ => {
                if !key.contains('.') && !keys().iter().any(|known| known.path() == key) {
                    let hint = match nearest(&key, WORDS) {
                        Some(word) => format!("did you mean `{word}`?"),
                        None => "it has keys of a spec, such as \"model.layers\", and zip, rows, \
                                 sampling, samples and seed"
                            .to_owned(),
                    };
                    return Err(refuse(position, format!("`{key}` is unknown in [sweep]; {hint}")));
                }
                let (values, when) = axis(&key, value, position, &refuse)?;
                axes.push(Axis::new(&key, values, place)?);
                grid.conditions.extend(when.map(|when| (key, when)));
            }
        }
    }
    let zips = zips.map_or(Ok(Vec::new()), |(position, value)| {
        zipped(value)
            .ok_or_else(|| {
                refuse(
                    position,
                    "`zip` must name axes of this sweep that advance together: \
                 zip = [\"model.dim\", \"model.heads\"], or a list of such lists"
                        .to_owned(),
                )
            })
            .map(|groups| groups.into_iter().map(|group| (position, group)).collect())
    })?;
    let mut factors = factors(axes, zips, &refuse)?;
    if let Some((position, value)) = rows {
        factors.push(listed(position, value, lines, &refuse)?);
    }
    twice(&factors, &refuse, start)?;
    match (method, samples) {
        (Some((position, method)), Some((_, samples))) => {
            if factors.len() > MOST_DIMENSIONS {
                return Err(refuse(
                    position,
                    format!("`sampling` takes at most {MOST_DIMENSIONS} axes"),
                ));
            }
            let seed = seed.map_or(0, |(_, seed)| seed as u32);
            grid.sampled = factors;
            grid.sampling = Some(Sampling { method, samples: samples as usize, seed });
        }
        (Some((position, method)), None) => {
            let word = method.word();
            return Err(refuse(
                position,
                format!(
                    "`samples` is missing: sampling = \"{word}\" needs a number of points, as in samples = 64"
                ),
            ));
        }
        (None, _) => {
            if let Some((position, _)) = samples.or(seed) {
                return Err(refuse(
                    position,
                    "`samples` and `seed` have no effect without sampling = \"random\" or \"sobol\""
                        .to_owned(),
                ));
            }
            for factor in &factors {
                if let Factor::Between(axis) = factor {
                    axis.list()?;
                }
            }
            grid.product = factors;
        }
    }
    Ok(grid)
}

/// The entries of a sweep in the order of the text: keys in quotes, `"model.layers"`, and those
/// that TOML takes apart, `model.layers`.
fn items(table: DeTable<'_>) -> Vec<Item<'_>> {
    let mut items = Vec::new();
    for (key, value) in table {
        let position = key.span().start;
        let key = key.into_inner().into_owned();
        match value.into_inner() {
            DeValue::Table(inner) if is_section(keys(), &key) => {
                for (inner_key, value) in inner {
                    let path = format!("{key}.{}", inner_key.get_ref());
                    items.push((path, inner_key.span().start, value.into_inner()));
                }
            }
            value => items.push((key, position, value)),
        }
    }
    items.sort_by_key(|(_, position, _)| *position);
    items
}

/// The values of an axis and its condition: a list or a function, or a table of `values` and
/// `when`.
fn axis(
    key: &str,
    value: DeValue<'_>,
    position: usize,
    refuse: &dyn Fn(usize, String) -> SpecError,
) -> Result<(Values, Option<Expression>), SpecError> {
    let values = |value: DeValue<'_>| {
        text::values(key, convert(value)).map_err(|problem| refuse(position, problem))
    };
    let DeValue::Table(table) = value else { return Ok((values(value)?, None)) };
    let (mut found, mut when) = (None, None);
    for (name, value) in table {
        match (&**name.get_ref(), value.into_inner()) {
            ("values", value) => found = Some(values(value)?),
            ("when", DeValue::String(text)) => when = Some(text),
            ("when", other) => {
                let problem = format!(
                    "`when` of `{key}` is {}; it must be a condition in quotes, such as \
                     \"model.kind == 'decoder'\"",
                    convert(other)
                );
                return Err(refuse(position, problem));
            }
            (other, _) => {
                let problem = format!(
                    "`{key}` in [sweep] has `{other}`; an axis has `values` and `when`, as in \
                     {{ values = [1, 2], when = \"model.kind == 'decoder'\" }}"
                );
                return Err(refuse(position, problem));
            }
        }
    }
    let missing = || refuse(position, format!("`{key}` in [sweep] has no `values`"));
    let found = found.ok_or_else(missing)?;
    let when = when
        .map(|text| {
            let condition = Expression::parse(&text)?;
            let paths: Vec<String> = keys().iter().map(Key::path).collect();
            condition.check(paths.iter().map(String::as_str))?;
            Ok(condition)
        })
        .transpose()
        .map_err(|error: ExpressionError| {
            refuse(position, format!("`when` of `{key}`: {error}"))
        })?;
    Ok((found, when))
}

/// The groups of `zip`: one list of keys, or several.
fn zipped(value: DeValue<'_>) -> Option<Vec<Vec<String>>> {
    let texts = |value: &Value| match value {
        Value::Array(values) => values
            .iter()
            .map(|value| match value {
                Value::Text(text) => Some(text.clone()),
                _ => None,
            })
            .collect::<Option<Vec<_>>>()
            .filter(|texts| texts.len() > 1),
        _ => None,
    };
    let value = convert(value);
    if let Some(group) = texts(&value) {
        return Some(vec![group]);
    }
    match &value {
        Value::Array(groups) if !groups.is_empty() => groups.iter().map(texts).collect(),
        _ => None,
    }
}

/// One factor for each zipped group, in place of its first axis, and for each other axis.
fn factors(
    axes: Vec<Axis>,
    zips: Vec<(usize, Vec<String>)>,
    refuse: &dyn Fn(usize, String) -> SpecError,
) -> Result<Vec<Factor>, SpecError> {
    for (position, group) in &zips {
        for key in group {
            if !axes.iter().any(|axis| axis.key == *key) {
                let known = axes.iter().map(|axis| axis.key.as_str());
                let hint = match nearest(key, known) {
                    Some(right) => format!("did you mean `{right}`?"),
                    None => format!("give it its values too, \"{key}\" = [1, 2]"),
                };
                let problem =
                    format!("`zip` names `{key}`, which is no axis of this sweep; {hint}");
                return Err(refuse(*position, problem));
            }
            let uses = zips.iter().flat_map(|(_, group)| group).filter(|other| *other == key);
            if uses.count() > 1 {
                return Err(refuse(*position, format!("`zip` names `{key}` twice")));
            }
        }
    }
    let mut done: Vec<&[String]> = Vec::new();
    let mut factors = Vec::new();
    for axis in &axes {
        match zips.iter().find(|(_, group)| group.contains(&axis.key)) {
            None => factors.push(Factor::of_axis(axis.clone())),
            Some((_, group)) if !done.contains(&&group[..]) => {
                done.push(group);
                let of = |key: &String| axes.iter().find(|axis| axis.key == *key).cloned();
                factors.push(Factor::zip(&group.iter().filter_map(of).collect::<Vec<_>>())?);
            }
            Some(_) => {}
        }
    }
    Ok(factors)
}

/// The rows of `rows`: tables of keys with one value each.
fn listed(
    position: usize,
    value: DeValue<'_>,
    lines: &Lines<'_>,
    refuse: &dyn Fn(usize, String) -> SpecError,
) -> Result<Factor, SpecError> {
    let wrong = || {
        refuse(
            position,
            "`rows` must be a list of tables, one for each point: \
             rows = [{ \"model.layers\" = 2, \"train.lr\" = 1e-3 }]"
                .to_owned(),
        )
    };
    let DeValue::Array(rows) = value else { return Err(wrong()) };
    let mut choices = Vec::new();
    for row in rows {
        let DeValue::Table(table) = Spanned::into_inner(row) else { return Err(wrong()) };
        let mut choice = Vec::new();
        for (key, position, value) in items(table) {
            let (value, place) = (convert(value), Place { at: lines(position), position });
            check_key(&key, &place)?;
            choice.push(Assigned { key, value, place });
        }
        choices.push(choice);
    }
    if choices.is_empty() {
        return Err(wrong());
    }
    Ok(Factor::Choices(choices))
}

/// Refuses a key that two factors set.
fn twice(
    factors: &[Factor],
    refuse: &dyn Fn(usize, String) -> SpecError,
    start: usize,
) -> Result<(), SpecError> {
    let mut seen: Vec<&String> = Vec::new();
    for factor in factors {
        let mut own = factor.keys();
        own.sort_unstable();
        own.dedup();
        if let Some(key) = own.iter().find(|key| seen.contains(key)) {
            return Err(refuse(
                start,
                format!("`{key}` is both an axis and in `rows`; give it once"),
            ));
        }
        seen.extend(own);
    }
    Ok(())
}
