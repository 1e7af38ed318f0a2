//! Tables in plain text that fit the terminal.

use console::Term;

use crate::terminal;

/// The gap between two columns.
const GAP: usize = 2;

/// `rows` of equal length, the heading first, with columns aligned to the right except those in
/// `left`. Where the terminal is too narrow, the table is folded: each part repeats the first
/// `keys` columns.
pub(crate) fn table(rows: &[Vec<String>], keys: usize, left: &[usize]) -> String {
    fold(rows, keys, left, terminal::width(&Term::stdout()).unwrap_or(usize::MAX))
}

/// `text` with line breaks between words where the terminal is too narrow.
pub(crate) fn wrap(text: &str) -> String {
    break_lines(text, terminal::width(&Term::stdout()).unwrap_or(usize::MAX))
}

fn fold(rows: &[Vec<String>], keys: usize, left: &[usize], width: usize) -> String {
    // A long name must leave room for a number beside it.
    let widest = (width / 2).max(8);
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| clip(cell, widest)).collect()).collect();
    let widths: Vec<usize> = (0..rows.first().map_or(0, Vec::len))
        .map(|c| rows.iter().map(|row| row[c].chars().count()).max().unwrap_or(0))
        .collect();
    let mut parts: Vec<Vec<usize>> = Vec::new();
    let start: usize = widths[..keys].iter().map(|width| width + GAP).sum();
    let mut used = usize::MAX;
    for (column, own) in widths.iter().enumerate().skip(keys) {
        used = used.saturating_add(GAP + own);
        if used > width || parts.is_empty() {
            used = start + own;
            parts.push((0..keys).collect());
        }
        parts.last_mut().into_iter().for_each(|part| part.push(column));
    }
    let line = |row: &Vec<String>, part: &Vec<usize>| {
        let cell = |&column: &usize| {
            let (cell, width) = (&row[column], widths[column]);
            if left.contains(&column) {
                format!("{cell:<width$}")
            } else {
                format!("{cell:>width$}")
            }
        };
        let cells: Vec<String> = part.iter().map(cell).collect();
        format!("{}\n", cells.join(&" ".repeat(GAP)).trim_end())
    };
    let parts: Vec<String> = parts
        .iter()
        .map(|part| rows.iter().map(|row| line(row, part)).collect::<String>())
        .collect();
    parts.join("\n")
}

fn clip(cell: &str, width: usize) -> String {
    if cell.chars().count() <= width {
        return cell.to_owned();
    }
    let start: String = cell.chars().take(width - 1).collect();
    format!("{}…", start.trim_end())
}

fn break_lines(text: &str, width: usize) -> String {
    let mut lines = Vec::new();
    for line in text.split('\n') {
        // Words keep their indentation and the spaces between them.
        let mut now = String::new();
        for (at, word) in line.split(' ').enumerate() {
            let wanted = now.chars().count() + 1 + word.chars().count();
            if !now.trim().is_empty() && wanted > width {
                lines.push(std::mem::take(&mut now));
            } else if at > 0 {
                now.push(' ');
            }
            now.push_str(word);
        }
        lines.push(now);
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[&[&str]]) -> Vec<Vec<String>> {
        rows.iter().map(|row| row.iter().map(|cell| (*cell).to_owned()).collect()).collect()
    }

    #[test]
    fn a_table_is_folded_where_it_is_too_wide() {
        let rows = rows(&[&["seed", "train NLL", "asymmetry", "status"], &["0", "1", "2", "ok"]]);
        let whole = "seed  train NLL  asymmetry  status\n   0          1          2      ok\n";
        assert_eq!(fold(&rows, 1, &[], usize::MAX), whole);
        assert_eq!(fold(&rows, 1, &[], 34), whole);
        let folded = "seed  train NLL  asymmetry\n   0          1          2\n\n\
                      seed  status\n   0  ok\n";
        assert_eq!(fold(&rows, 1, &[3], 33), folded);
    }

    #[test]
    fn a_long_name_leaves_room_for_the_numbers() {
        let rows = rows(&[&["intervention", "NLL"], &["a name of very many words", "1.5"]]);
        assert_eq!(fold(&rows, 1, &[0], 24), "intervention  NLL\na name of v…  1.5\n");
    }

    #[test]
    fn text_is_broken_between_words() {
        assert_eq!(break_lines("one two three\nfour", 8), "one two\nthree\nfour");
        assert_eq!(break_lines("  indented  twice\n", 80), "  indented  twice\n");
        assert_eq!(break_lines("unbreakable", 4), "unbreakable");
    }
}
