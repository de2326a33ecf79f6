//! A file that still comes from a remote, on its way to a client: read by threads that may wait for the disk, and waited for without
//! any.

use crate::server::{FeedReader, Next};
use bytes::Bytes;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::task::JoinHandle;

/// A reader, or what it is busy with.
pub(super) struct Feeding {
    step: Step,
    /// What is left, where the size is known.
    left: Option<u64>,
}

enum Step {
    Idle(FeedReader),
    Reading(JoinHandle<(FeedReader, Next)>),
    Waiting(Pin<Box<dyn Future<Output = FeedReader> + Send>>),
    Over,
}

impl Feeding {
    pub(super) fn new(reader: FeedReader) -> Self {
        Self { left: reader.left(), step: Step::Idle(reader) }
    }

    pub(super) fn left(&self) -> Option<u64> {
        self.left
    }

    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            self.step = match std::mem::replace(&mut self.step, Step::Over) {
                Step::Over => return Poll::Ready(None),
                Step::Idle(mut reader) => Step::Reading(tokio::task::spawn_blocking(move || {
                    let next = reader.proceed();
                    (reader, next)
                })),
                Step::Waiting(mut waiting) => match waiting.as_mut().poll(context) {
                    Poll::Ready(reader) => Step::Idle(reader),
                    Poll::Pending => {
                        self.step = Step::Waiting(waiting);
                        return Poll::Pending;
                    }
                },
                Step::Reading(mut reading) => {
                    let Poll::Ready(read) = Pin::new(&mut reading).poll(context) else {
                        self.step = Step::Reading(reading);
                        return Poll::Pending;
                    };
                    let (reader, next) = read.map_err(io::Error::other)?;
                    match next {
                        Next::Ready(bytes) => {
                            self.left = reader.left();
                            self.step = Step::Idle(reader);
                            return Poll::Ready(Some(Ok(bytes)));
                        }
                        Next::Wait(mut signal) => Step::Waiting(Box::pin(async move {
                            // The reader holds what signals: it can't be gone.
                            let _ = signal.changed().await;
                            reader
                        })),
                        Next::End => Step::Over,
                        // An error ends the connection, so that the client knows that this was not all.
                        Next::Abort => return Poll::Ready(Some(Err(io::Error::other("the remote broke off")))),
                    }
                }
            };
        }
    }
}
