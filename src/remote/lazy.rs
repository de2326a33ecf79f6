//! A client that is made when it is first needed: reading the system's certificates takes longer than a lookup that stays at home.

use super::{Client, ClientError, ClientOptions};
use std::sync::OnceLock;

/// A client, made on first use.
#[derive(Debug)]
pub struct LazyClient {
    options: ClientOptions,
    made: OnceLock<Result<Client, ClientError>>,
}

impl LazyClient {
    /// Takes the options of the client to be.
    pub fn new(options: ClientOptions) -> Self {
        Self { options, made: OnceLock::new() }
    }

    /// Returns the client, or why there can't be one.
    pub fn get(&self) -> Result<&Client, &ClientError> {
        self.made.get_or_init(|| Client::new(self.options.clone())).as_ref()
    }
}
