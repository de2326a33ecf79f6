//! How the bytes of an answer are coded for the way: as they are, gzip or zstd. Pure.

use super::accept;
use bytes::Bytes;
use flate2::{Compression, GzBuilder};
use http::header::{ACCEPT_ENCODING, HeaderMap};
use std::io::{self, Write as _};

/// A coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Coding {
    /// None.
    Identity,
    /// What every client reads.
    Gzip,
    /// What uv asks for, too: smaller, and faster to make and to read.
    Zstd,
}

/// Below this, coded bytes save no packet.
const SMALL_BYTES: usize = 1024;

impl Coding {
    /// Returns the best coding that a client takes; asked for nothing, or for what isn't there, it gets the bytes as they are.
    pub(super) fn accepted(headers: &HeaderMap) -> Self {
        let (mut best, mut best_weight) = (Self::Identity, 0);
        let (mut gzip, mut zstd, mut any) = (None, None, None);
        // A bad weight makes the item mean nothing.
        for (name, weight) in accept::items(headers, ACCEPT_ENCODING) {
            if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") {
                gzip = weight;
            } else if name.eq_ignore_ascii_case("zstd") {
                zstd = weight;
            } else if name == "*" {
                any = weight;
            }
        }
        for (coding, weight) in [(Self::Zstd, zstd.or(any)), (Self::Gzip, gzip.or(any))] {
            if weight.unwrap_or(0) > best_weight {
                (best, best_weight) = (coding, weight.unwrap_or(0));
            }
        }
        best
    }

    /// Returns the coding for so many bytes: few are left as they are.
    pub(super) fn of_size(self, size: usize) -> Self {
        if size < SMALL_BYTES { Self::Identity } else { self }
    }

    /// Returns what the header `Content-Encoding` says; `None`: there is no such header.
    pub(super) fn header(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
        }
    }

    /// Returns what an entity tag ends in: other bytes have another strong tag.
    pub(super) fn suffix(self) -> &'static str {
        match self {
            Self::Identity => "",
            Self::Gzip => "-gzip",
            Self::Zstd => "-zstd",
        }
    }

    /// Codes bytes, at a level that pays when they are sent a few times.
    pub(super) fn encode(self, bytes: &Bytes) -> io::Result<Bytes> {
        match self {
            Self::Identity => Ok(bytes.clone()),
            Self::Gzip => {
                let mut encoder = GzBuilder::new().mtime(0).write(Vec::new(), Compression::new(6));
                encoder.write_all(bytes)?;
                Ok(encoder.finish()?.into())
            }
            Self::Zstd => Ok(zstd::bulk::compress(bytes, 6)?.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use std::io::Read as _;

    fn accepted(value: Option<&'static str>) -> Coding {
        let lines = value.map(|value| (ACCEPT_ENCODING, HeaderValue::from_static(value)));
        Coding::accepted(&lines.into_iter().collect())
    }

    #[test]
    fn each_client_gets_the_best_that_it_asks_for() {
        for (value, coding) in [
            (None, Coding::Identity),
            (Some(""), Coding::Identity),
            (Some("identity"), Coding::Identity),
            (Some("gzip, deflate"), Coding::Gzip),
            (Some("gzip, deflate, br, zstd"), Coding::Zstd),
            (Some("zstd, gzip, deflate"), Coding::Zstd),
            (Some("gzip, deflate, zstd;q=0"), Coding::Gzip),
            (Some("gzip;q=1.0, zstd;q=0.5"), Coding::Gzip),
            (Some("gzip;q=0"), Coding::Identity),
            (Some("*"), Coding::Zstd),
            (Some("*;q=0"), Coding::Identity),
            (Some("*, zstd;q=0"), Coding::Gzip),
            (Some("GZIP ; q=0.5"), Coding::Gzip),
            (Some("gzip;q=2"), Coding::Identity),
            (Some("gzip;q=nan"), Coding::Identity),
            (Some("br, deflate"), Coding::Identity),
        ] {
            assert_eq!(accepted(value), coding, "{value:?}");
        }
    }

    #[test]
    fn what_is_coded_reads_back() {
        let bytes = Bytes::from("Requires-Dist: numpy\n".repeat(500));
        let (mut gzip, mut zstd) = (Vec::new(), Vec::new());
        let coded = |coding: Coding| coding.encode(&bytes).unwrap();
        flate2::read::GzDecoder::new(&coded(Coding::Gzip)[..]).read_to_end(&mut gzip).unwrap();
        zstd::stream::copy_decode(&coded(Coding::Zstd)[..], &mut zstd).unwrap();
        assert!(gzip == bytes && zstd == bytes && coded(Coding::Identity) == bytes);
        assert!(coded(Coding::Gzip).len() < bytes.len() / 10 && coded(Coding::Zstd).len() < bytes.len() / 10);
    }

    #[test]
    fn few_bytes_are_left_as_they_are() {
        assert_eq!(Coding::Gzip.of_size(1023), Coding::Identity);
        assert_eq!(Coding::Gzip.of_size(1024), Coding::Gzip);
    }
}
