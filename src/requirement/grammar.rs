//! The grammar of markers: from text to a tree of comparisons.
//!
//! Accepts what `packaging` 26.3 accepts, except what it fails on when it comes to judge, or takes for something else: a comparison of
//! two texts or of two variables, and `~=` or `===` on what is no version.

use super::marker::{MarkerError, Node, Variable};
use pep440_rs::VersionSpecifier;
use std::str::FromStr;

/// Parentheses deeper than this are refused: no person writes them, and the parser calls itself for each.
const MAX_DEPTH: usize = 50;

/// Parses a marker without spaces around it; an empty one is no condition.
pub(super) fn parse(text: &str) -> Result<Option<Node>, MarkerError> {
    let mut parser = Parser { rest: text };
    if text.is_empty() {
        return Ok(None);
    }
    let node = parser.any(0)?;
    if parser.rest.is_empty() { Ok(Some(node)) } else { parser.expected("'and', 'or' or the end") }
}

/// What is left to read, without spaces before it.
struct Parser<'a> {
    rest: &'a str,
}

enum Operand {
    Variable(Variable),
    Text(String),
}

impl<'a> Parser<'a> {
    fn expected<T>(&self, expected: &'static str) -> Result<T, MarkerError> {
        Err(MarkerError { at: self.rest.chars().take(40).collect(), expected })
    }

    fn skip(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest.trim_start();
        taken
    }

    /// Returns the word that begins here, maybe none.
    fn word(&self) -> &'a str {
        let inner = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.');
        &self.rest[..self.rest.find(|letter| !inner(letter)).unwrap_or(self.rest.len())]
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = self.word() == word;
        if found {
            self.skip(word.len());
        }
        found
    }

    fn any(&mut self, depth: usize) -> Result<Node, MarkerError> {
        let mut parts = vec![self.all(depth)?];
        while self.take_word("or") {
            parts.push(self.all(depth)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Node::Any(parts) })
    }

    fn all(&mut self, depth: usize) -> Result<Node, MarkerError> {
        let mut parts = vec![self.atom(depth)?];
        while self.take_word("and") {
            parts.push(self.atom(depth)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Node::All(parts) })
    }

    fn atom(&mut self, depth: usize) -> Result<Node, MarkerError> {
        if !self.rest.starts_with('(') {
            return self.comparison();
        }
        if depth == MAX_DEPTH {
            return self.expected("at most 50 parentheses in each other");
        }
        self.skip(1);
        let node = self.any(depth + 1)?;
        if !self.rest.starts_with(')') {
            return self.expected("')', 'and' or 'or'");
        }
        self.skip(1);
        Ok(node)
    }

    fn comparison(&mut self) -> Result<Node, MarkerError> {
        let start = self.rest;
        let left = self.operand()?;
        let operator = self.operator()?;
        let right = self.operand()?;
        let (variable, text, text_first) = match (left, right) {
            (Operand::Variable(variable), Operand::Text(text)) => (variable, text, false),
            (Operand::Text(text), Operand::Variable(variable)) => (variable, text, true),
            _ => {
                self.rest = start;
                return self.expected("a variable compared with a quoted text");
            }
        };
        self.check(start, variable, operator, &text, text_first)?;
        Ok(Node::Compare { variable, operator, text, text_first })
    }

    /// Refuses a comparison that has no meaning, at its beginning.
    fn check(
        &mut self,
        start: &'a str,
        variable: Variable,
        operator: &str,
        text: &str,
        text_first: bool,
    ) -> Result<(), MarkerError> {
        let set = matches!(variable, Variable::Extras | Variable::DependencyGroups);
        let versions = text_first || VersionSpecifier::from_str(&format!("{operator}{text}")).is_ok();
        if matches!(operator, "~=" | "===") && !(variable.is_version() && versions) {
            self.rest = start;
            return self.expected("'~=' and '===' between versions only");
        }
        if set && !(text_first && matches!(operator, "in" | "not in")) {
            self.rest = start;
            return self.expected("'\"NAME\" in extras'");
        }
        Ok(())
    }

    fn operand(&mut self) -> Result<Operand, MarkerError> {
        if let Some(quote @ ('"' | '\'')) = self.rest.chars().next() {
            let Some(end) = self.rest[1..].find(quote) else { return self.expected("a closing quote") };
            return Ok(Operand::Text(self.skip(end + 2)[1..=end].to_owned()));
        }
        let word = self.word();
        let Some(variable) = Variable::named(word) else {
            return self.expected("a variable such as python_version or sys_platform, or a quoted text");
        };
        self.skip(word.len());
        Ok(Operand::Variable(variable))
    }

    fn operator(&mut self) -> Result<&'static str, MarkerError> {
        if self.take_word("in") {
            return Ok("in");
        }
        if self.take_word("not") {
            return if self.take_word("in") { Ok("not in") } else { self.expected("'in' after 'not'") };
        }
        // The longer first: `==` is the beginning of `===`.
        match ["===", "==", "~=", "!=", "<=", ">=", "<", ">"].into_iter().find(|sign| self.rest.starts_with(sign)) {
            Some(sign) => {
                self.skip(sign.len());
                Ok(sign)
            }
            None => self.expected("one of == != < <= > >= ~= === in 'not in'"),
        }
    }
}
