//! What a reader of JSON complains of, without the names that types have in our code.

/// Returns what a JSON reader complains of in words of JSON, such as "a whole number", in place of Rust's types.
pub fn describe_json_error(reason: &str) -> String {
    let mut words = Vec::new();
    let mut told = reason.split(' ').peekable();
    while let Some(word) = told.next() {
        let bare = word.trim_end_matches([',', ';', ':']);
        let plain = match bare {
            "i8" | "i16" | "i32" | "i64" | "u8" | "u16" | "u32" | "u64" | "usize" => {
                "a whole number"
            }
            "f32" | "f64" => "a number",
            "struct" if told.peek().is_some() => {
                told.next();
                "an object"
            }
            "sequence" => "list",
            "map" => "object",
            bare => bare,
        };
        words.push(format!("{plain}{}", &word[bare.len()..]));
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_type_of_ours_is_told() {
        for (said, plain) in [
            (
                r#"invalid type: string "one", expected i32 at line 1 column 81"#,
                r#"invalid type: string "one", expected a whole number at line 1 column 81"#,
            ),
            (
                "invalid type: null, expected struct Vm at line 1",
                "invalid type: null, expected an object at line 1",
            ),
            ("missing field `name`", "missing field `name`"),
        ] {
            assert_eq!(describe_json_error(said), plain);
        }
    }
}
