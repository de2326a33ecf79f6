//! What whoever is signed in does by the pages: words of paths.

/// What is done to a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Files are marked, so that installers take them by exact version alone.
    Yank,
    /// The mark goes.
    Unyank,
    /// Files or versions must not come back.
    Block,
    /// Files are kept, whatever the rules say.
    Pin,
    /// Files come into another collection, too.
    Promote,
    /// The collection gets the content of an older revision.
    Rollback,
    /// What one operation did is taken back.
    Undo,
}

/// What is done to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Account {
    /// It begins.
    SignIn,
    /// It ends.
    SignOut,
}

impl Verb {
    /// All.
    pub const ALL: [Self; 7] =
        [Self::Yank, Self::Unyank, Self::Block, Self::Pin, Self::Promote, Self::Rollback, Self::Undo];

    /// Returns the segment of the path.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Yank => "yank",
            Self::Unyank => "unyank",
            Self::Block => "block",
            Self::Pin => "pin",
            Self::Promote => "promote",
            Self::Rollback => "rollback",
            Self::Undo => "undo",
        }
    }

    /// Returns the one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| verb.as_str() == name)
    }
}

impl Account {
    /// Returns the one of this name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "sign-in" => Some(Self::SignIn),
            "sign-out" => Some(Self::SignOut),
            _ => None,
        }
    }
}
