//! HMAC-SHA-256 (RFC 2104): shows that whoever sent a text knows a secret.

use ring::hmac;
use std::fmt::Write as _;

/// Returns the code of a text under a secret, in hexadecimal digits.
pub fn sha256(secret: &[u8], text: &[u8]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), text);
    tag.as_ref().iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Memory takes all text.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn codes_are_those_of_the_standard() {
        // RFC 4231, test cases 2 and 6.
        let jefe = super::sha256(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(jefe, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        let long = super::sha256(&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First");
        assert_eq!(long, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    }
}
