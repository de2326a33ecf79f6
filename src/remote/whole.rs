//! Files that are taken whole into memory, within a size, and that nothing but their server vouches for.

use super::exchange::Question;
use super::failure::{Failure, PublicUrl};
use super::{Client, Source};
use crate::fs::BUFFER_BYTES;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap, HeaderValue};
use std::io::Read;
use url::Url;

impl Client {
    /// Fetches a file of at most so many bytes. `progress` hears how many there are to come, 0 where nobody says so, and how many came.
    pub fn whole(&self, source: &Source, url: &Url, cap: u64, progress: &dyn Fn(u64, u64)) -> Result<Vec<u8>, Failure> {
        self.retried(|| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            // It may take long: what ends it is that nothing comes, or too little.
            let question = Question { source, url, headers, is_vouched: false, deadline: None };
            let mut answer = self.ask(&question)?.expect(source, &[200])?;
            let place = PublicUrl::from(&answer.url);
            if let Some(coding) = answer.header(CONTENT_ENCODING).filter(|coding| *coding != "identity") {
                let why = format!("it came as {coding:?}, which was not asked for");
                return Err(Failure::Encoding { place, why });
            }
            let size = answer.length().unwrap_or_default();
            if size > cap {
                return Err(Failure::TooLarge { place, cap });
            }
            let (mut bytes, mut part) = (Vec::new(), vec![0; BUFFER_BYTES]);
            loop {
                match answer.body.read(&mut part) {
                    Ok(0) => return Ok(bytes),
                    Ok(count) => bytes.extend_from_slice(&part[..count]),
                    Err(error) => {
                        let why = error.to_string();
                        return Err(answer.body.failure.take().unwrap_or(Failure::Encoding { place, why }));
                    }
                }
                if bytes.len() as u64 > cap {
                    return Err(Failure::TooLarge { place, cap });
                }
                progress(size, bytes.len() as u64);
            }
        })
    }
}
