//! From tokens to a tree.

use super::token::{Problem, Token, tokens};
use super::{Comparison, Node, Operand};

/// The deepest nesting of parentheses and `not`.
const DEEPEST: usize = 100;

/// The tree of a condition.
pub(super) fn parse(text: &str) -> Result<Node, Problem> {
    let end = text.chars().count();
    let mut parser = Parser { tokens: tokens(text)?, next: 0, end, depth: 0 };
    let root = parser.any()?;
    match parser.peek() {
        None => Ok(root),
        Some(Token::Close) => Err(parser.refuse("there is no `(` to this `)`".to_owned())),
        Some(Token::Compare(_)) => Err(parser
            .refuse("a second comparison; join two with `and`, as in 1 < x and x < 3".to_owned())),
        Some(token) => Err(parser.refuse(format!(
            "{} follows a whole condition; join two with `and` or `or`",
            token.shown()
        ))),
    }
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    next: usize,
    /// Characters of the text.
    end: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(_, token)| token)
    }

    fn takes(&mut self, token: &Token) -> bool {
        let is = self.peek() == Some(token);
        self.next += usize::from(is);
        is
    }

    /// A problem at the next token.
    fn refuse(&self, problem: String) -> Problem {
        (self.tokens.get(self.next).map_or(self.end, |(at, _)| *at), problem)
    }

    fn any(&mut self) -> Result<Node, Problem> {
        let mut nodes = vec![self.all()?];
        while self.takes(&Token::Or) {
            nodes.push(self.all()?);
        }
        Ok(if nodes.len() == 1 { nodes.remove(0) } else { Node::Any(nodes) })
    }

    fn all(&mut self) -> Result<Node, Problem> {
        let mut nodes = vec![self.not()?];
        while self.takes(&Token::And) {
            nodes.push(self.not()?);
        }
        Ok(if nodes.len() == 1 { nodes.remove(0) } else { Node::All(nodes) })
    }

    fn not(&mut self) -> Result<Node, Problem> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.refuse(format!("more than {DEEPEST} parentheses in each other")));
        }
        let node = if self.takes(&Token::Not) {
            Node::Not(Box::new(self.not()?))
        } else if self.takes(&Token::Open) {
            let inner = self.any()?;
            if !self.takes(&Token::Close) {
                return Err(self.refuse("a `)` is missing".to_owned()));
            }
            inner
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(node)
    }

    fn comparison(&mut self) -> Result<Node, Problem> {
        let left = self.operand()?;
        let Some(comparison) = self.compare() else { return Ok(Node::True(left)) };
        Ok(Node::Compare(left, comparison, self.operand()?))
    }

    fn compare(&mut self) -> Option<Comparison> {
        let Some(Token::Compare(comparison)) = self.peek() else { return None };
        let comparison = *comparison;
        self.next += 1;
        Some(comparison)
    }

    fn operand(&mut self) -> Result<Operand, Problem> {
        let operand = match self.peek() {
            Some(Token::Name(name)) => Operand::Name(name.clone()),
            Some(Token::Value(cell)) => Operand::Value(cell.clone()),
            found => {
                let found = found.map_or("the end".to_owned(), Token::shown);
                return Err(self.refuse(format!(
                    "{found} stands where a name, a number or a text in quotes must be"
                )));
            }
        };
        self.next += 1;
        Ok(operand)
    }
}
