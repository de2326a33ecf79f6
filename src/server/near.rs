//! What the answer that there is nothing says besides: the project's versions in the view, or names there that may have been meant.
//!
//! Only what the view itself shows is told, and to nobody but who may read it; where else a project is, is nobody's business. Anybody may
//! ask for any name, so only so many of these answers in a second say more than that there is nothing.

use super::Answer;
use super::Server;
use super::answer::{Body, plain};
use super::endpoint::{FileAddress, ViewName};
use crate::catalog::near::{Near, in_view};
use crate::error::Result;
use crate::name::ProjectName;
use crate::wheel::DistributionFilename;
use bytes::Bytes;
use http::StatusCode;
use std::sync::{Mutex, PoisonError};

/// So many answers in a second say more.
const A_SECOND: u32 = 20;

/// A second, and how many answers said more in it.
#[derive(Debug, Default)]
pub(super) struct NearAnswers(Mutex<(i64, u32)>);

impl NearAnswers {
    /// Tells whether another answer may say more.
    fn may_say_more(&self, now: i64) -> bool {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if said.0 != now {
            *said = (now, 0);
        }
        said.1 += 1;
        said.1 <= A_SECOND
    }
}

/// Answers that a view hasn't got a project, in these words, and what is near.
pub(super) fn no_project(server: &Server, view: &ViewName, project: &ProjectName, text: String) -> Answer {
    let near = near(server, view, project);
    with(plain(StatusCode::NOT_FOUND, text.clone()), &text, near)
}

/// Answers that a view hasn't got a file, in these words, and what is near.
pub(super) fn no_file(server: &Server, address: &FileAddress, text: &str) -> Answer {
    let answer = plain(StatusCode::NOT_FOUND, text);
    let (Some(view), Ok(name)) = (&address.view, DistributionFilename::parse(&address.filename)) else { return answer };
    with(answer, text, near(server, view, name.project()))
}

/// Returns the projects of a view that may have been meant.
pub(super) fn similar(server: &Server, view: &ViewName, project: &ProjectName) -> Vec<ProjectName> {
    near(server, view, project).map(|near| near.similar).unwrap_or_default()
}

fn near(server: &Server, view: &ViewName, project: &ProjectName) -> Result<Near> {
    if !server.near.may_say_more(server.now()) {
        return Ok(Near::default());
    }
    let store = server.stores.borrow()?;
    in_view(&*store.manifest.read()?, &view.name, &view.shown(), project)
}

/// Puts more lines into the body. What can't be found out isn't said: that there is nothing stays true.
fn with(mut answer: Answer, text: &str, near: Result<Near>) -> Answer {
    let lines = near.map(|near| near.lines()).unwrap_or_default();
    if !lines.is_empty() {
        *answer.body_mut() = Body::Bytes(Bytes::from(format!("{text}\n{}\n", lines.join("\n"))));
    }
    answer
}
