//! YAML made from the tokens of JSON, so that order and large numbers survive.

use std::iter::Peekable;

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_saphyr::Tagged;

use super::Error;
use super::json::{self, Token, Tokens};

/// One YAML document with the content of valid JSON.
///
/// # Errors
/// JSON that nests deeper than 128 levels or has text that is no Unicode.
pub(super) fn from_json(json: &str) -> Result<String, Error> {
    let unprintable = |message: String| Error::Unprintable {
        format: "yaml",
        message,
    };
    json::check_depth(json).map_err(unprintable)?;
    let node = Node::read(&mut Tokens::new(json).peekable()).map_err(unprintable)?;
    serde_saphyr::to_string(&node).map_err(|error| unprintable(error.to_string()))
}

enum Node<'a> {
    Null,
    Bool(bool),
    Number(&'a str),
    Text(String),
    List(Vec<Node<'a>>),
    Map(Vec<(String, Node<'a>)>),
}

impl<'a> Node<'a> {
    fn read(tokens: &mut Peekable<Tokens<'a>>) -> Result<Self, String> {
        Ok(match tokens.next().ok_or("it ends too early")? {
            Token::Atom("null") => Self::Null,
            Token::Atom("true") => Self::Bool(true),
            Token::Atom("false") => Self::Bool(false),
            Token::Atom(number) => Self::Number(number),
            Token::Text(text) => Self::Text(unquoted(text)?),
            Token::Open(b'[') => {
                let mut items = Vec::new();
                while another(tokens) {
                    items.push(Self::read(tokens)?);
                }
                Self::List(items)
            }
            Token::Open(_) => {
                let mut entries = Vec::new();
                while another(tokens) {
                    let Some(Token::Text(key)) = tokens.next() else {
                        return Err("a key is not text".to_owned());
                    };
                    tokens.next_if_eq(&Token::Colon);
                    entries.push((unquoted(key)?, Self::read(tokens)?));
                }
                Self::Map(entries)
            }
            Token::Close(_) | Token::Comma | Token::Colon => {
                return Err("it is not JSON".to_owned());
            }
        })
    }
}

/// Goes on to the next item of a list or map; `false` once it is closed.
fn another(tokens: &mut Peekable<Tokens<'_>>) -> bool {
    tokens.next_if_eq(&Token::Comma);
    tokens.peek().is_some()
        && tokens
            .next_if(|next| matches!(next, Token::Close(_)))
            .is_none()
}

fn unquoted(text: &str) -> Result<String, String> {
    serde_json::from_str(text).map_err(|error| format!("{text} is not text: {error}"))
}

impl Serialize for Node<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(number) => serialize_number(number, serializer),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                items
                    .iter()
                    .try_for_each(|item| list.serialize_element(item))?;
                list.end()
            }
            Self::Map(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                entries
                    .iter()
                    .try_for_each(|(key, value)| map.serialize_entry(key, value))?;
                map.end()
            }
        }
    }
}

/// Numbers that no machine type holds exactly keep their digits, under an explicit tag.
fn serialize_number<S: Serializer>(number: &str, serializer: S) -> Result<S::Ok, S::Error> {
    let tagged = |kind: &str| Tagged(number.to_owned(), Some(format!("tag:yaml.org,2002:{kind}")));
    if !number.contains(['.', 'e', 'E']) {
        return match number.parse::<i128>() {
            Ok(whole) => serializer.serialize_i128(whole),
            Err(_) => tagged("int").serialize(serializer),
        };
    }
    match number.parse::<f64>() {
        Ok(float) if float.is_finite() && digits(&format!("{float:e}")) == digits(number) => {
            serializer.serialize_f64(float)
        }
        _ => tagged("float").serialize(serializer),
    }
}

/// The significant digits of a number.
fn digits(number: &str) -> String {
    let mantissa = number.split(['e', 'E']).next().unwrap_or(number);
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    digits.trim_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_types_survive() {
        let json = r#"{"zeta":"no","a":[1,-2.50,null,true,"1",[],{}],"nested":{"id":"0e1","at":"2026-01-02"}}"#;
        assert_eq!(
            from_json(json).unwrap(),
            "zeta: \"no\"\na:\n- 1\n- -2.5\n- null\n- true\n- \"1\"\n- []\n- {}\nnested:\n  id: \"0e1\"\n  at: \"2026-01-02\"\n"
        );
    }

    #[test]
    fn numbers_keep_their_digits() {
        for (json, yaml) in [
            ("9007199254740993", "9007199254740993\n"),
            ("18446744073709551616", "18446744073709551616\n"),
            ("0.30000000000000004", "0.30000000000000004\n"),
            ("1.10", "1.1\n"),
            ("-0", "0\n"),
            (
                "1234567890123456789012345678901234567890",
                "!<tag:yaml.org,2002:int> \"1234567890123456789012345678901234567890\"\n",
            ),
            (
                "0.1000000000000000000001",
                "!<tag:yaml.org,2002:float> \"0.1000000000000000000001\"\n",
            ),
        ] {
            assert_eq!(from_json(json).unwrap(), yaml);
        }
    }

    #[test]
    fn what_cannot_be_yaml_is_an_error() {
        let deep = "[".repeat(200_000) + &"]".repeat(200_000);
        assert_eq!(
            from_json(&deep).unwrap_err().to_string(),
            "cannot print the answer as yaml: it nests deeper than 128 levels"
        );
        assert!(from_json(r#""\ud800""#).is_err());
    }
}
