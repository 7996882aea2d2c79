//! Detects whether a text repeats a part of a secret. The part may be in another case, interleaved with punctuation, escaped,
//! truncated, or encoded in base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use zeroize::Zeroizing;

/// A match of this many consecutive letters and digits is not a coincidence.
const WINDOW: usize = 12;
/// A shorter part cannot be distinguished from ordinary words.
const SHORTEST: usize = 8;

pub(super) fn is_in(said: &str, secret: &str) -> bool {
    // A server may repeat only one part of a JWT.
    let parts = secret.split('.').filter(|part| part.len() >= SHORTEST);
    if parts.clone().any(|part| said.contains(part)) {
        return true;
    }
    let said = letters(&unescaped(said));
    if parts.map(letters).any(|part| part.len() >= SHORTEST && said.contains(part.as_str())) {
        return true;
    }
    let plain = letters(secret);
    if plain.len() < SHORTEST {
        return false;
    }
    // The encoded secret depends on its offset in the text, modulo three bytes. With an offset of one or two, the first characters
    // also encode the text before the secret, so they are skipped.
    let shifted = ["", "\0", "\0\0"].map(|before| {
        let shifted = Zeroizing::new(format!("{before}{secret}"));
        let encoded = Zeroizing::new(STANDARD_NO_PAD.encode(shifted.as_bytes()));
        Zeroizing::new(encoded.bytes().skip(before.len().saturating_mul(2)).map(char::from).collect::<String>())
    });
    let encoded = shifted.iter().map(|encoded| letters(encoded));
    std::iter::once(plain).chain(encoded).any(|form| repeats(&said, &form))
}

fn repeats(said: &str, secret: &str) -> bool {
    let window = WINDOW.min(secret.len().saturating_sub(1)).max(SHORTEST.saturating_sub(1));
    let said = said.as_bytes();
    let at = |offset: u32| {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        said.get(start..start.saturating_add(window)).unwrap_or_default()
    };
    // Both texts may have 64 KiB, so the windows are sorted once and each part of the secret is found by binary search. The list
    // has offsets instead of slices, because a set of slices would need ten times the memory.
    let mut offsets: Vec<u32> = (0_u32..).zip(said.windows(window)).map(|(offset, _)| offset).collect();
    offsets.sort_unstable_by_key(|&offset| at(offset));
    secret.as_bytes().windows(window).any(|part| {
        // Twelve repetitions of one letter may be a coincidence.
        part.first().is_some_and(|first| part.iter().any(|byte| byte != first))
            && offsets.binary_search_by_key(&part, |&offset| at(offset)).is_ok()
    })
}

/// Only the letters and digits of `text`, in lower case.
fn letters(text: &str) -> Zeroizing<String> {
    let mut letters = Zeroizing::new(String::with_capacity(text.len()));
    letters.extend(text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()));
    letters
}

/// Replaces numeric HTML character references and percent encoding with the characters that they represent. Named references are
/// removed.
fn unescaped(text: &str) -> Zeroizing<String> {
    let mut result = Zeroizing::new(String::with_capacity(text.len()));
    let mut rest = text;
    while let Some(at) = rest.find(['&', '%']) {
        let (before, special) = rest.split_at(at);
        result.push_str(before);
        let reference = special.strip_prefix('&').and_then(|inside| inside.split_once(';'));
        rest = match reference.filter(|(name, _)| name.len() <= 8) {
            Some((name, after)) => {
                result.extend(character(name));
                after
            }
            None => {
                let hex = special.get(1..3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
                let percent = hex.filter(|_| special.starts_with('%'));
                result.extend(percent.map(char::from));
                special.get(if percent.is_some() { 3 } else { 1 }..).unwrap_or_default()
            }
        };
    }
    result.push_str(rest);
    result
}

/// The character of a numeric reference. `None` for a named one, because those represent punctuation, which is ignored.
fn character(name: &str) -> Option<char> {
    let number = name.strip_prefix('#')?;
    let code = match number.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
        None => number.parse().ok()?,
    };
    char::from_u32(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "opaque+Token/with<some>&marks-0123456789";

    #[test]
    fn echo_is_detected_in_every_form() {
        let html = SECRET.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let numeric: String = SECRET.chars().map(|c| format!("&#x{:x};", u32::from(c))).collect();
        let percent: String = SECRET.bytes().map(|b| format!("%{b:02X}")).collect();
        let base64 = |before: &str| STANDARD_NO_PAD.encode(format!("{before}{SECRET}"));
        for form in [
            SECRET.to_owned(),
            html,
            numeric,
            percent,
            SECRET.to_uppercase(),
            SECRET.split_at(1).1.to_owned(),
            SECRET.split_at(SECRET.len() - 1).0.to_owned(),
            SECRET.split_at(20).0.to_owned(),
            SECRET.chars().rev().take(20).collect::<Vec<_>>().into_iter().rev().collect(),
            base64(""),
            base64("a"),
            base64("ab"),
            base64("abc"),
            SECRET.replace('-', " - "),
        ] {
            let said = format!("no such token: {form}!");
            assert!(is_in(&said, SECRET), "{said}");
        }
    }

    #[test]
    fn echo_is_not_detected_in_other_text() {
        for said in ["", "the token is expired", "&", "%", "&;", "%zz", "&#x110000;", "100 % of marks & more; some"] {
            assert!(!is_in(said, SECRET), "{said}");
        }
        assert!(!is_in("anything", ""));
        assert!(!is_in("a short one", "short"));
    }

    #[test]
    fn echo_of_a_short_secret_may_lack_one_character() {
        for said in ["hunter2hunter2 is wrong", "hunter2hunter is wrong", "HUNTER2HUNTER2"] {
            assert!(is_in(said, "hunter2hunter2"), "{said}");
        }
        assert!(is_in("it is passwor", "password"));
        assert!(!is_in("it is passwo", "password"));
    }
}
