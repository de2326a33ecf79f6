//! The program's own HTTP client for buckets: the system's certificates, no limit for a whole transfer, and little patience with silence.

use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Who doesn't take a connection in this time isn't there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Who let that time pass isn't asked again for so long: what goes nowhere isn't refused either, and one command asks several times.
const SILENCE: Duration = Duration::from_secs(5);
/// Time without a byte of an answer; what is put on its way to it counts.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Time in which nobody says that bytes have come.
const LOSS_TIMEOUT: Duration = Duration::from_secs(10);

/// Makes the clients.
#[derive(Debug)]
pub(super) struct Connector;

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let failed = |source: Box<dyn Error + Send + Sync>| object_store::Error::Generic { store: "bucket", source };
        let (tls, _) = crate::tls::client().map_err(|error| failed(error.into()))?;
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(concat!("wcas/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(STALL_TIMEOUT)
            .tcp_user_timeout(LOSS_TIMEOUT);
        let client = client.build().map_err(|error| failed(error.into()))?;
        Ok(HttpClient::new(Patience { client, silent: Mutex::default() }))
    }
}

/// A client, and when its server was found to be silent.
#[derive(Debug)]
struct Patience {
    client: reqwest::Client,
    silent: Mutex<Option<Instant>>,
}

type Asked<'a> = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'a>>;

impl HttpService for Patience {
    fn call<'s, 'a>(&'s self, request: HttpRequest) -> Asked<'a>
    where
        's: 'a,
        Self: 'a,
    {
        Box::pin(async move {
            if self.silent().is_some_and(|since| since.elapsed() < SILENCE) {
                return Err(HttpError::new(HttpErrorKind::Unknown, no_connection()));
            }
            let answer = HttpService::call(&self.client, request).await;
            *self.silent() = answer.as_ref().err().filter(|error| is_silence(error)).map(|_| Instant::now());
            // Of this kind no other try is made.
            answer.map_err(|error| match is_silence(&error) {
                true => HttpError::new(HttpErrorKind::Unknown, no_connection()),
                false => error,
            })
        })
    }
}

impl Patience {
    fn silent(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.silent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn no_connection() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("nobody takes a connection within {} s", CONNECT_TIMEOUT.as_secs()))
}

/// Tells whether there was no connection in time.
fn is_silence(error: &HttpError) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(inner) = cause {
        if let Some(told) = inner.downcast_ref::<reqwest::Error>() {
            return told.is_connect() && told.is_timeout();
        }
        cause = inner.source();
    }
    false
}
