//! Replaces what differs between runs: ports, times, durations, temporary folders, the user.

const WIDTH: usize = 100;
const INDENT: &str = "              ";

/// Replaces variable parts, and breaks the lines of each paragraph again: the replacements have other lengths.
pub(crate) fn normalised(text: &str) -> String {
    let mut result = String::new();
    for paragraph in paragraphs(text) {
        let (label, words) = match paragraph.get(..INDENT.len()) {
            Some(label) if label.starts_with("  ") && !paragraph[INDENT.len()..].starts_with(' ') => {
                (label, &paragraph[INDENT.len()..])
            }
            _ => ("", paragraph.as_str()),
        };
        result.push_str(label);
        let words = replaced(words);
        if label.is_empty() {
            result.push_str(&words);
        } else {
            wrap(&mut result, &words);
        }
        result.push('\n');
    }
    result
}

/// The paragraphs that do not begin with `cause`.
pub(crate) fn without_causes(text: &str) -> Vec<String> {
    paragraphs(text).into_iter().filter(|paragraph| !paragraph.starts_with("  cause ")).collect()
}

/// The lines of the text, with wrapped lines joined.
fn paragraphs(text: &str) -> Vec<String> {
    let mut paragraphs: Vec<String> = Vec::new();
    for line in text.lines() {
        let goes_on = line.starts_with(INDENT) && !line[INDENT.len()..].starts_with(' ');
        match paragraphs.last_mut().filter(|last| goes_on && last.starts_with("  ")) {
            Some(last) => *last = format!("{last} {}", line.trim_start()),
            None => paragraphs.push(line.to_owned()),
        }
    }
    paragraphs
}

fn wrap(result: &mut String, text: &str) {
    let mut column = 0;
    for word in text.split(' ') {
        let length = word.chars().count();
        if column > 0 && column + length >= WIDTH {
            result.push('\n');
            result.push_str(INDENT);
            column = 0;
        }
        if column > 0 {
            result.push(' ');
        }
        result.push_str(word);
        column += length + 1;
    }
}

fn replaced(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let mut shown: Vec<String> = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let after = words.get(at + 1).map_or("", |next| next.trim_end_matches([',', ':', '.', ';']));
        let before = at.checked_sub(1).map_or("", |before| words[before]);
        let is_number = !word.is_empty() && word.chars().all(|c| c.is_ascii_digit());
        shown.push(match *word {
            _ if is_number && ["ms", "s", "bytes"].contains(&after) => "N".to_owned(),
            uid if before.ends_with("(uid") => uid.replace(|c: char| c.is_ascii_digit(), "").replacen(';', "UID;", 1),
            owner if before == "owner" => {
                format!("UID:GID{}", owner.trim_start_matches(|c: char| c.is_ascii_digit() || c == ':'))
            }
            word => date(&port(&port(&folder(word), "127.0.0.1:"), "[::1]:")),
        });
    }
    shown.join(" ")
}

/// Replaces the temporary folder of a local pod.
fn folder(word: &str) -> String {
    let Some(at) = word.find("/local-pod-") else { return word.to_owned() };
    let start = word[..at].find('/').unwrap_or(at);
    let end = word[at + 1..].find('/').map_or(word.len(), |slash| at + 1 + slash);
    format!("{}/tmp/local-pod{}", &word[..start], &word[end..])
}

/// Replaces a port, but not port 9, at which no server listens.
fn port(word: &str, host: &str) -> String {
    let Some(at) = word.find(host).map(|at| at + host.len()) else { return word.to_owned() };
    let digits = word[at..].chars().take_while(char::is_ascii_digit).count();
    if digits < 2 { word.to_owned() } else { format!("{}PORT{}", &word[..at], &word[at + digits..]) }
}

/// Replaces a date as `2026-11-24T04:59:36Z`.
fn date(word: &str) -> String {
    let is_date = |text: &str| text.ends_with('Z') && text.as_bytes()[4] == b'-' && text.as_bytes()[10] == b'T';
    let at = (0..word.len().saturating_sub(19)).find(|&at| word.get(at..at + 20).is_some_and(is_date));
    at.map_or_else(|| word.to_owned(), |at| format!("{}DATE{}", &word[..at], &word[at + 20..]))
}

/// The lines of one finding.
pub(crate) fn excerpt(text: &str, id: &str) -> Option<String> {
    let begins = |line: &str| ["ERROR ", "WARNING ", "info ", "ok "].iter().any(|label| line.starts_with(label));
    let mut lines = text.lines().skip_while(|line| !(begins(line) && line.contains(&format!(" {id}: "))));
    let mut excerpt = format!("{}\n", lines.next()?);
    for line in lines.take_while(|line| !line.is_empty() && !begins(line)) {
        excerpt.push_str(line);
        excerpt.push('\n');
    }
    Some(excerpt)
}
