//! Who writes, for the log.

use super::types::text_column;

text_column! {
    /// What kind of writer.
    ActorKind {
        /// A user of the operating system, by the command line.
        User = "user",
        /// The holder of a token, over HTTP.
        Token = "token",
        /// Anybody, where the server is open.
        Anonymous = "anonymous",
        /// Not known: another program wrote, or a program that uses the library and does not say.
        Unknown = "unknown",
    }
}

/// Who writes, from where, by which command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// What kind.
    pub kind: ActorKind,
    /// The user's or token's number.
    pub id: Option<i64>,
    /// The user's or token's name.
    pub name: String,
    /// The host, or a client's address.
    pub origin: String,
    /// The command, without arguments.
    pub command: String,
}

impl Actor {
    /// Returns the same one at another command.
    pub fn at(&self, command: &str) -> Self {
        Self { command: command.to_owned(), ..self.clone() }
    }
}

/// As operations have it.
impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, origin, .. } = self;
        match self.kind {
            ActorKind::User => write!(f, "{name}@{origin}"),
            ActorKind::Token => write!(f, "token {name}"),
            ActorKind::Anonymous => write!(f, "anonymous at {origin}"),
            ActorKind::Unknown => write!(f, "unknown"),
        }
    }
}

impl Default for Actor {
    fn default() -> Self {
        let [name, origin, command] = [const { String::new() }; 3];
        Self { kind: ActorKind::Unknown, id: None, name, origin, command }
    }
}
