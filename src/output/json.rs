//! JSON written again from its own tokens: layout changes, no token does.

use std::io::{self, Write};

use super::control::acts_or_hides;

/// Where the spaces and line breaks go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// No spaces at all, on one line.
    Compact,
    /// Two spaces a level, starting at this level; the first line is not indented.
    Pretty { level: usize },
}

/// What happens to characters inside strings that would act on a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hidden {
    /// They stay: the reader is a program.
    Keep,
    /// They become `\u…` escapes, which mean the same: the reader is a terminal.
    Escape,
}

/// How deep a document may nest where it is read recursively; deeper ones would only exhaust the stack.
const DEEPEST: usize = 128;

/// Returns whether valid JSON can be read recursively.
///
/// # Errors
/// A message when it nests deeper than 128 levels.
pub(super) fn check_depth(json: &str) -> Result<(), String> {
    let mut level = 0_usize;
    for token in Tokens::new(json) {
        match token {
            Token::Open(_) => level += 1,
            Token::Close(_) => level = level.saturating_sub(1),
            _ => {}
        }
        if level > DEEPEST {
            return Err(format!("it nests deeper than {DEEPEST} levels"));
        }
    }
    Ok(())
}

/// Writes valid JSON again, token by token, without a line break at its end.
///
/// # Errors
/// Those of `out`.
pub fn write(out: &mut impl Write, json: &str, layout: Layout, hidden: Hidden) -> io::Result<()> {
    let mut level = match layout {
        Layout::Compact => None,
        Layout::Pretty { level } => Some(level),
    };
    let mut tokens = Tokens::new(json).peekable();
    while let Some(token) = tokens.next() {
        match token {
            Token::Open(bracket) => {
                out.write_all(&[bracket])?;
                if let Some(Token::Close(bracket)) =
                    tokens.next_if(|next| matches!(next, Token::Close(_)))
                {
                    out.write_all(&[bracket])?;
                } else {
                    level = level.map(|level| level + 1);
                    break_line(out, level)?;
                }
            }
            Token::Close(bracket) => {
                level = level.map(|level| level.saturating_sub(1));
                break_line(out, level)?;
                out.write_all(&[bracket])?;
            }
            Token::Comma => {
                out.write_all(b",")?;
                break_line(out, level)?;
            }
            Token::Colon => out.write_all(if level.is_some() { b": " } else { b":" })?,
            Token::Text(text) if hidden == Hidden::Escape => write_escaped(out, text)?,
            Token::Text(text) | Token::Atom(text) => out.write_all(text.as_bytes())?,
        }
    }
    Ok(())
}

fn break_line(out: &mut impl Write, level: Option<usize>) -> io::Result<()> {
    let Some(level) = level else { return Ok(()) };
    out.write_all(b"\n")?;
    (0..level).try_for_each(|_| out.write_all(b"  "))
}

fn write_escaped(out: &mut impl Write, text: &str) -> io::Result<()> {
    let mut rest = text;
    while let Some(at) = rest.find(acts_or_hides) {
        let (clean, from) = rest.split_at(at);
        out.write_all(clean.as_bytes())?;
        let mut chars = from.chars();
        for unit in chars
            .next()
            .into_iter()
            .flat_map(|c| c.encode_utf16(&mut [0; 2]).to_vec())
        {
            write!(out, "\\u{unit:04x}")?;
        }
        rest = chars.as_str();
    }
    out.write_all(rest.as_bytes())
}

/// A piece of JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token<'a> {
    /// `{` or `[`
    Open(u8),
    /// `}` or `]`
    Close(u8),
    Comma,
    Colon,
    /// A string as written, with its quotes.
    Text(&'a str),
    /// A number, `true`, `false` or `null` as written.
    Atom(&'a str),
}

/// The tokens of JSON that is known to be valid.
#[derive(Clone, Debug)]
pub struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Tokens<'a> {
    pub fn new(json: &'a str) -> Self {
        Self { rest: json }
    }

    fn take(&mut self, length: usize) -> &'a str {
        let (token, rest) = self.rest.split_at(length);
        self.rest = rest;
        token
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        self.rest = self.rest.trim_start_matches([' ', '\n', '\r', '\t']);
        let first = *self.rest.as_bytes().first()?;
        Some(match first {
            b'"' => Token::Text(self.take(text_length(self.rest.as_bytes()))),
            b'{' | b'[' | b'}' | b']' | b',' | b':' => {
                self.take(1);
                match first {
                    b'{' | b'[' => Token::Open(first),
                    b'}' | b']' => Token::Close(first),
                    b',' => Token::Comma,
                    _ => Token::Colon,
                }
            }
            _ => {
                let ends = |c: char| {
                    matches!(c, ',' | ':' | '{' | '}' | '[' | ']' | '"') || c.is_ascii_whitespace()
                };
                Token::Atom(self.take(self.rest.find(ends).unwrap_or(self.rest.len())))
            }
        })
    }
}

/// Length of the string at the start of `bytes`, quotes included.
fn text_length(bytes: &[u8]) -> usize {
    let mut at = 1;
    while let Some(found) = bytes
        .get(at..)
        .and_then(|rest| memchr::memchr2(b'"', b'\\', rest))
    {
        at += found;
        if bytes[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(json: &str, layout: Layout, hidden: Hidden) -> String {
        let mut out = Vec::new();
        write(&mut out, json, layout, hidden).unwrap();
        String::from_utf8(out).unwrap()
    }

    const PRETTY: Layout = Layout::Pretty { level: 0 };

    #[test]
    fn pretty_indents_by_two_and_keeps_every_token() {
        let json = r#"{"a":[1.10,-0,1E400],"b":{},"c":[ ],"d":"x\"\\\u0041, : {","e":{"f":[[],{"g":null}]}}"#;
        let pretty = written(json, PRETTY, Hidden::Keep);
        assert_eq!(
            pretty,
            r#"{
  "a": [
    1.10,
    -0,
    1E400
  ],
  "b": {},
  "c": [],
  "d": "x\"\\\u0041, : {",
  "e": {
    "f": [
      [],
      {
        "g": null
      }
    ]
  }
}"#
        );
        assert_eq!(
            written(&pretty, Layout::Compact, Hidden::Keep),
            json.replace("[ ]", "[]")
        );
    }

    #[test]
    fn scalars_and_empty_documents_stand_alone() {
        for json in [
            "null",
            "12345678901234567890123",
            "\"\"",
            "[]",
            "{}",
            r#""\\""#,
        ] {
            assert_eq!(written(&format!(" {json}\n"), PRETTY, Hidden::Keep), json);
            assert_eq!(written(json, Layout::Compact, Hidden::Keep), json);
        }
    }

    #[test]
    fn a_nested_document_continues_at_its_level() {
        assert_eq!(
            written(r#"{"a":1}"#, Layout::Pretty { level: 1 }, Hidden::Keep),
            "{\n    \"a\": 1\n  }"
        );
    }

    #[test]
    fn on_a_terminal_acting_characters_are_escaped_and_mean_the_same() {
        let json = "{\"a\u{9b}31m\":\"x\u{202e}y\u{e0041}é\"}";
        let shown = written(json, Layout::Compact, Hidden::Escape);
        assert_eq!(shown, r#"{"a\u009b31m":"x\u202ey\udb40\udc41é"}"#);
        let same: serde_json::Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(
            same,
            serde_json::from_str::<serde_json::Value>(json).unwrap()
        );
        assert_eq!(written(json, Layout::Compact, Hidden::Keep), json);
    }

    #[test]
    fn depth_costs_no_stack() {
        let json = "[".repeat(200_000) + &"]".repeat(200_000);
        assert_eq!(written(&json, Layout::Compact, Hidden::Escape), json);
    }
}
