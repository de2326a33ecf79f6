//! TLS to a database, as everywhere in this program: by ring, trusting what the operating system trusts.

use crate::tls;
use rustls::pki_types::ServerName;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::Socket;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream as Encrypted;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Makes connections to servers whose certificates the system trusts.
#[derive(Clone)]
pub(super) struct Tls;

pub(super) struct Connect(TlsConnector, ServerName<'static>);

pub(super) struct Stream(Encrypted<Socket>);

impl MakeTlsConnect<Socket> for Tls {
    type Stream = Stream;
    type TlsConnect = Connect;
    type Error = BoxError;

    fn make_tls_connect(&mut self, host: &str) -> Result<Connect, BoxError> {
        let (mut config, problem) = tls::client()?;
        // Where there are no certificates, that is why the server's isn't believed.
        if let Some(problem) = problem {
            return Err(problem.into());
        }
        config.alpn_protocols = vec![b"postgresql".to_vec()];
        Ok(Connect(TlsConnector::from(Arc::new(config)), ServerName::try_from(host.to_owned())?))
    }
}

impl TlsConnect<Socket> for Connect {
    type Stream = Stream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, BoxError>> + Send>>;

    fn connect(self, socket: Socket) -> Self::Future {
        Box::pin(async move { Ok(Stream(self.0.connect(self.1, socket).await?)) })
    }
}

impl TlsStream for Stream {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, into)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
