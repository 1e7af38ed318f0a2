//! JSON objects that carry a SHA-256 of their own text as their last field, `seal`: damage to any
//! byte is found.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::state::digest;

const SEAL: &str = ",\n  \"seal\": \"";

/// The object as indented text with its seal.
pub fn seal<T: Serialize>(object: &T) -> serde_json::Result<String> {
    Ok(seal_text(&serde_json::to_string_pretty(object)?))
}

/// The text of an object that is not empty, with its seal.
pub(super) fn seal_text(object: &str) -> String {
    let open = object.trim_end();
    let open = open.strip_suffix('}').unwrap_or(open).trim_end();
    format!("{open}{SEAL}{}\"\n}}\n", digest(open.as_bytes()))
}

/// The object in `bytes`, and whether it has a seal: files of early versions have none. A type that
/// denies unknown fields also finds a damaged seal.
///
/// # Errors
/// Says what is wrong.
pub fn unseal<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, bool), String> {
    let (text, sealed) = unseal_text(bytes)?;
    let object = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    Ok((object, sealed))
}

/// The text of the object without its seal, and whether it had one.
pub(super) fn unseal_text(bytes: &[u8]) -> Result<(String, bool), String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let Some(at) = text.rfind(SEAL) else { return Ok((text.to_owned(), false)) };
    let object = format!("{}\n}}", &text[..at]);
    if seal_text(&object) != text {
        return Err("its content is not what was written".to_owned());
    }
    Ok((object, true))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_changed_byte_is_found() {
        let object = BTreeMap::from([("a", 1), ("b", 2)]);
        for text in [seal(&object).unwrap(), seal_text(&serde_json::to_string(&object).unwrap())] {
            let (read, sealed): (BTreeMap<String, u8>, bool) = unseal(text.as_bytes()).unwrap();
            assert_eq!((read["a"], read["b"], sealed), (1, 2, true));
            for at in 0..text.len() {
                for bit in 0..8 {
                    let mut bytes = text.clone().into_bytes();
                    bytes[at] ^= 1 << bit;
                    let read = unseal::<BTreeMap<String, u8>>(&bytes);
                    assert!(read.is_err(), "byte {at}, bit {bit}: {read:?}");
                }
            }
        }
        assert!(!unseal::<BTreeMap<String, u8>>(b"{\"a\": 1}").unwrap().1);
    }
}
