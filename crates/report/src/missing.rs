//! The fields that the tables of a TOML file lack: all at once, each at its line.

use toml::{Table, Value};

/// The fields that every table of one kind must have.
pub(crate) struct Required {
    /// The path of the tables, such as `task.intervention`; empty for the file itself.
    pub(crate) path: &'static str,
    pub(crate) fields: &'static [&'static str],
}

/// All that is missing, where a reader stopped at the first missing field.
pub(crate) fn lacking(
    error: &toml::de::Error,
    text: &str,
    origin: &str,
    required: &[Required],
) -> Option<String> {
    error.message().starts_with("missing field").then(|| missing(text, origin, required)).flatten()
}

/// The missing fields, one table a line; `None` if nothing is, or the text is no TOML.
fn missing(text: &str, origin: &str, required: &[Required]) -> Option<String> {
    let file: Table = toml::from_str(text).ok()?;
    let mut found = Vec::new();
    for Required { path, fields } in required {
        let header = format!("[[{path}]]");
        let mut lines = (1..).zip(text.lines()).filter(|(_, line)| line.trim() == header);
        for table in tables(&file, path) {
            let line = lines.next().map_or(1, |(line, _)| line);
            let lacks: Vec<String> = fields
                .iter()
                .filter(|field| !table.contains_key(**field))
                .map(|field| format!("`{field}`"))
                .collect();
            let what = if path.is_empty() { "the file" } else { &header };
            match &lacks[..] {
                [] => {}
                [lone] => found.push((line, format!("{what} lacks {lone}"))),
                [others @ .., last] => {
                    let others = others.join(", ");
                    found.push((line, format!("{what} lacks {others} and {last}")));
                }
            }
        }
    }
    found.sort();
    let lines: Vec<String> =
        found.into_iter().map(|(line, what)| format!("{origin}:{line}: {what}")).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// The tables at a path, in the order of the file.
fn tables<'t>(file: &'t Table, path: &str) -> Vec<&'t Table> {
    let mut found = vec![file];
    for part in path.split('.').filter(|part| !part.is_empty()) {
        let below = found.into_iter().filter_map(|table| table.get(part));
        found = below
            .flat_map(|value| match value {
                Value::Array(all) => all.iter().filter_map(Value::as_table).collect(),
                Value::Table(table) => vec![table],
                _ => Vec::new(),
            })
            .collect();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_missing_is_named_at_its_line() {
        let required = [
            Required { path: "", fields: &["name", "title"] },
            Required { path: "task", fields: &["id"] },
            Required { path: "task.part", fields: &["id", "of", "is"] },
        ];
        let text = "name = \"a\"\n\n[[task]]\n\n[[task.part]]\nid = \"b\"\n[[task.part]]\nid = \"c\"\n\
                    of = 1\n";
        let found = missing(text, "f.toml", &required).unwrap();
        assert_eq!(
            found,
            "f.toml:1: the file lacks `title`\nf.toml:3: [[task]] lacks `id`\nf.toml:5: \
             [[task.part]] lacks `of` and `is`\nf.toml:7: [[task.part]] lacks `is`"
        );
        assert_eq!(missing("name = 1\ntitle = 2", "f.toml", &required), None);
        assert_eq!(missing("no TOML", "f.toml", &required), None);
    }
}
