//! The tokens of a condition.

use super::Comparison;
use crate::cell::Cell;

/// A token.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Open,
    Close,
    And,
    Or,
    Not,
    Compare(Comparison),
    Value(Cell),
    Name(String),
}

impl Token {
    /// It in a message.
    pub(super) fn shown(&self) -> String {
        match self {
            Token::Open => "`(`".to_owned(),
            Token::Close => "`)`".to_owned(),
            Token::And => "`and`".to_owned(),
            Token::Or => "`or`".to_owned(),
            Token::Not => "`not`".to_owned(),
            Token::Compare(_) => "a comparison".to_owned(),
            Token::Value(cell) => format!("`{cell}`"),
            Token::Name(name) => format!("`{name}`"),
        }
    }
}

/// A problem with the character, counted from 0, that it is at.
pub(super) type Problem = (usize, String);

/// The tokens of `text`, each with the character that it begins at.
pub(super) fn tokens(text: &str) -> Result<Vec<(usize, Token)>, Problem> {
    let characters: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&first) = characters.get(at) {
        let rest = &characters[at..];
        let next = rest.get(1).copied();
        let (token, length) = match first {
            _ if first.is_whitespace() => {
                at += 1;
                continue;
            }
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            '&' if next == Some('&') => (Token::And, 2),
            '|' if next == Some('|') => (Token::Or, 2),
            '=' => (Token::Compare(Comparison::Equal), 1 + usize::from(next == Some('='))),
            '!' if next == Some('=') => (Token::Compare(Comparison::NotEqual), 2),
            '!' => (Token::Not, 1),
            '<' if next == Some('=') => (Token::Compare(Comparison::AtMost), 2),
            '<' => (Token::Compare(Comparison::Less), 1),
            '>' if next == Some('=') => (Token::Compare(Comparison::AtLeast), 2),
            '>' => (Token::Compare(Comparison::Greater), 1),
            '\'' | '"' => {
                let inner = rest[1..].iter().position(|c| *c == first);
                let Some(length) = inner else {
                    return Err((at, "a text begins that does not end".to_owned()));
                };
                (Token::Value(Cell::Text(rest[1..=length].iter().collect())), length + 2)
            }
            _ if first.is_ascii_digit() || matches!(first, '-' | '+' | '.') => {
                number(rest).map_err(|problem| (at, problem))?
            }
            _ if first.is_alphabetic() || first == '_' => word(rest),
            other => {
                return Err((at, format!("`{other}` is none of ( ) and or not == != < <= > >=")));
            }
        };
        tokens.push((at, token));
        at += length;
    }
    Ok(tokens)
}

fn number(rest: &[char]) -> Result<(Token, usize), String> {
    let part = |at: usize| match rest[at] {
        '-' | '+' => at == 0 || matches!(rest[at - 1], 'e' | 'E'),
        c => c.is_ascii_alphanumeric() || matches!(c, '.' | '_'),
    };
    let length = (0..rest.len()).find(|at| !part(*at)).unwrap_or(rest.len());
    let text: String = rest[..length].iter().collect();
    let digits = text.replace('_', "");
    let integer = digits.parse().ok().map(Cell::Integer);
    let number = digits.parse().ok().filter(|number: &f64| number.is_finite()).map(Cell::Number);
    let cell = integer.or(number).ok_or_else(|| format!("`{text}` is no number"))?;
    Ok((Token::Value(cell), length))
}

fn word(rest: &[char]) -> (Token, usize) {
    // With a hyphen no name is known, and the message then says how a text is written.
    let part = |c: &char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-');
    let length = rest.iter().position(|c| !part(c)).unwrap_or(rest.len());
    let word: String = rest[..length].iter().collect();
    let token = match word.as_str() {
        "and" => Token::And,
        "or" => Token::Or,
        "not" => Token::Not,
        "true" => Token::Value(Cell::Boolean(true)),
        "false" => Token::Value(Cell::Boolean(false)),
        "none" => Token::Value(Cell::Missing),
        _ => Token::Name(word),
    };
    (token, length)
}
