//! The documentation of a spec's keys: a spec with a comment on every key, and `docs/spec.md`.

use std::fmt::Write as _;

use retrodict_settings::{Key, Line};

use super::{Spec, keys};

/// The spec as TOML, with a comment before every key. Keys that would apply under other settings
/// follow as comments.
pub fn commented(spec: &Spec) -> String {
    let lines = spec.write().lines;
    let keys = keys();
    let (mut text, mut section) = (String::new(), "");
    let mut done = Vec::new();
    for key in keys {
        let path = key.path();
        if key.hidden || done.contains(&path) {
            continue;
        }
        let applies = key.applies_to(&lines);
        let elsewhere = keys.iter().any(|other| other.path() == path && other.applies_to(&lines));
        // Keys of other kinds of data are left out.
        if !applies && (elsewhere || key.when.iter().any(|when| when.key == "data.kind")) {
            continue;
        }
        if key.section != section {
            section = key.section;
            let _ = write!(text, "\n[{section}]\n");
        }
        explain(&mut text, key, applies, lines.iter().find(|line| line.path() == path));
        done.push(path);
    }
    text
}

fn explain(text: &mut String, key: &Key, applies: bool, line: Option<&Line>) {
    let right = &key.right;
    let when: Vec<String> = key.when.iter().map(ToString::to_string).collect();
    let when = if applies || when.is_empty() {
        String::new()
    } else {
        format!("; applies with {}", when.join(" and "))
    };
    let _ = writeln!(text, "# {} ({right}{when})", key.doc);
    // A key that depends on another than the kinds is a comment at its default, so that the other
    // may be overridden without it.
    let free = key.when.iter().all(|when| when.key == "data.kind" || when.key == "model.kind");
    match (line.filter(|line| line.applies), &key.default) {
        (Some(line), _) if applies && (free || !line.default) => {
            let _ = writeln!(text, "{} = {}", key.name, line.value);
        }
        (_, Some(default)) => {
            let _ = writeln!(text, "# {} = {default}", key.name);
        }
        (_, None) => {
            let _ = writeln!(text, "# {} =", key.name);
        }
    }
}

/// `docs/spec.md`: every key with its type and range, default, when it applies, and one line.
pub fn reference() -> String {
    let mut text = String::from(
        "# The keys of a spec\n\n\
         Generated from the declarations of the keys; a test holds it current.\n\
         A key that would have no effect is refused, with the reason. \
         `retrodict spec NAME` prints a ready spec with these comments.\n",
    );
    let mut section = None;
    for key in keys().iter().filter(|key| !key.hidden) {
        if section != Some(key.section) {
            section = Some(key.section);
            let heading = match key.section {
                "" => "Above the first section".to_owned(),
                name => format!("`[{name}]`"),
            };
            let _ = write!(
                text,
                "\n## {heading}\n\n| key | values | default | applies with | |\n|---|---|---|---|---|\n"
            );
        }
        let default = key.default.as_ref().map_or_else(String::new, |text| format!("`{text}`"));
        let when: Vec<String> = key.when.iter().map(|when| format!("`{when}`")).collect();
        let _ = writeln!(
            text,
            "| `{}` | {} | {default} | {} | {} |",
            key.name,
            key.right.replace('|', "\\|"),
            when.join(", "),
            key.doc.replace('|', "\\|")
        );
    }
    text
}
