//! jq filters over JSON, built in.

use std::io::Write;

use jaq_core::data::JustLut;
use jaq_core::load::{self, Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Vars, compile};
use jaq_json::write::Pp;
use jaq_json::{Num, Val};

use super::Error;
use super::column_layout::cut;
use super::control::{visible, visible_lines};
use super::json::{self, Hidden, Layout};

/// Filters of the library that reach outside the data: into the environment, and for the exit code of the process.
const OUTSIDE: [&str; 3] = ["env", "halt", "halt_error"];

/// Messages quote values, which may be whole lists.
const LONGEST_MESSAGE: usize = 200;

/// 2^53, below which every whole `f64` is a whole number of its own.
const LARGEST_EXACT: f64 = 9_007_199_254_740_992.0;

/// A filter that is ready to run. It can read no file and no environment.
pub(super) struct Filter(jaq_core::Filter<JustLut<Val>>);

impl Filter {
    /// Reads a filter.
    ///
    /// # Errors
    /// [`Error::Filter`] with the first thing that is wrong.
    pub(super) fn compile(code: &str) -> Result<Self, Error> {
        let formats =
            load::parse(include_str!("jq_formats.jq"), |parser| parser.defs()).unwrap_or_default();
        let library = jaq_core::defs()
            .chain(jaq_std::defs())
            .chain(jaq_json::defs());
        let definitions = library
            .filter(|definition| !OUTSIDE.contains(&definition.name))
            .chain(formats);
        let functions = jaq_core::funs()
            .chain(jaq_std::funs())
            .chain(jaq_json::funs());
        let functions = functions.filter(|(name, _, _)| !OUTSIDE.contains(name));
        let arena = Arena::default();
        let modules = Loader::new(definitions)
            .load(&arena, File { code, path: () })
            .map_err(|errors| {
                first_of(errors).map_or_else(unknown, |error| not_loaded(code, error))
            })?;
        // an imported variable that nobody provides would panic when the filter runs
        load::import(&modules, |_| Err(String::new())).map_err(|errors| {
            first_of(errors).map_or_else(unknown, |error| not_loaded(code, error))
        })?;
        let filter = Compiler::default()
            .with_funs(functions)
            .compile(modules)
            .map_err(|errors| {
                first_of(errors).map_or_else(unknown, |error| not_compiled(code, error))
            })?;
        Ok(Self(filter))
    }

    /// Runs the filter on valid JSON and writes a line for each result: strings raw, all else compact.
    ///
    /// # Errors
    /// [`Error::FilterRun`] after the results before it, and those of `out`.
    pub(super) fn run(
        &self,
        json: &str,
        out: &mut impl Write,
        hidden: Hidden,
    ) -> Result<(), Error> {
        json::check_depth(json).map_err(Error::FilterRun)?;
        let input = jaq_json::read::parse_single(json.as_bytes())
            .map_err(|error| Error::FilterRun(format!("the answer cannot be read: {error}")))?;
        let context = Ctx::<JustLut<Val>>::new(&self.0.lut, Vars::new([]));
        for result in self.0.id.run((context, input)) {
            match result.map_err(jaq_core::Exn::get_err) {
                Ok(value) => write_value(&value, out, hidden)?,
                Err(Ok(error)) => {
                    let message = match error.into_val() {
                        Val::TStr(text) => String::from_utf8_lossy(&text).into_owned(),
                        value => value.to_string(),
                    };
                    return Err(Error::FilterRun(
                        cut(&visible(&message), LONGEST_MESSAGE).into_owned(),
                    ));
                }
                // control flow of the filter itself, such as a break
                Err(Err(_)) => break,
            }
        }
        Ok(())
    }
}

fn write_value(value: &Val, out: &mut impl Write, hidden: Hidden) -> Result<(), Error> {
    match value {
        Val::TStr(text) | Val::BStr(text) if hidden == Hidden::Escape => {
            out.write_all(visible_lines(&String::from_utf8_lossy(text)).as_bytes())?;
        }
        Val::TStr(text) | Val::BStr(text) => out.write_all(text)?,
        _ => {
            let mut written = Vec::new();
            jaq_json::write::write(&mut written, &Pp::default(), 0, &as_jq_counts(value))?;
            json::write(
                out,
                &String::from_utf8_lossy(&written),
                Layout::Compact,
                hidden,
            )?;
        }
    }
    Ok(out.write_all(b"\n")?)
}

/// The value with its computed numbers as jq has them: `4 / 2` is `2`, not-a-number is `null`, and infinity is the
/// largest number. So all results are JSON. Numbers of the answer itself keep their digits.
fn as_jq_counts(value: &Val) -> Val {
    match value {
        Val::Num(Num::Float(float)) if float.is_nan() => Val::Null,
        Val::Num(Num::Float(float)) if float.is_infinite() => Val::from(f64::MAX.copysign(*float)),
        Val::Num(Num::Float(float)) if float.fract() == 0.0 && float.abs() < LARGEST_EXACT => {
            Val::from(*float as isize)
        }
        Val::Arr(items) => items.iter().map(as_jq_counts).collect(),
        Val::Obj(entries) => Val::obj(
            entries
                .iter()
                .map(|(key, value)| (key.clone(), as_jq_counts(value)))
                .collect(),
        ),
        _ => value.clone(),
    }
}

/// The first error of the first file, which is the filter itself: it imports nothing.
fn first_of<S, P, E>(errors: load::Errors<S, P, E>) -> Option<E> {
    errors.into_iter().next().map(|(_, error)| error)
}

fn not_loaded(code: &str, error: load::Error<&str>) -> Error {
    match error {
        load::Error::Io(imports) => imports.first().map_or_else(unknown, |(path, _)| {
            at(
                code,
                path,
                &format!("cannot import '{path}', no file is read"),
            )
        }),
        load::Error::Lex(errors) => errors.first().map_or_else(unknown, |(expected, found)| {
            at(code, found, &format!("expected {}", expected.as_str()))
        }),
        load::Error::Parse(errors) => errors.first().map_or_else(unknown, |(expected, found)| {
            let found_text = if found.is_empty() {
                "the end".to_owned()
            } else {
                format!("'{found}'")
            };
            at(
                code,
                found,
                &format!("expected {}, found {found_text}", expected.as_str()),
            )
        }),
    }
}

fn not_compiled(code: &str, errors: Vec<compile::Error<&str>>) -> Error {
    errors
        .into_iter()
        .next()
        .map_or_else(unknown, |(name, kind)| {
            at(code, name, &format!("no {} '{name}'", kind.as_str()))
        })
}

/// An error at the place of `found`, a part of `code`; characters count from 1.
fn at(code: &str, found: &str, message: &str) -> Error {
    let offset = (found.as_ptr() as usize).wrapping_sub(code.as_ptr() as usize);
    let before = code.get(..offset).unwrap_or("");
    let message = cut(&visible(message), LONGEST_MESSAGE).into_owned();
    Error::Filter {
        position: before.chars().count() + 1,
        message,
    }
}

fn unknown() -> Error {
    Error::Filter {
        position: 1,
        message: "it cannot be read".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(code: &str, json: &str) -> Result<String, String> {
        let mut out = Vec::new();
        let filter = Filter::compile(code).map_err(|error| error.to_string())?;
        filter
            .run(json, &mut out, Hidden::Keep)
            .map_err(|error| error.to_string())?;
        Ok(String::from_utf8(out).unwrap())
    }

    const VMS: &str = r#"[{"name":"web-1","cpu":2,"big":12345678901234567890123,"f":1.10},{"name":"db\n","cpu":4}]"#;

    #[test]
    fn strings_are_raw_and_the_rest_is_compact() {
        for (code, output) in [
            (".[].name", "web-1\ndb\n\n"),
            ("map(.cpu) | add", "6\n"),
            ("map(select(.cpu > 2)) | length", "1\n"),
            (
                ".[0] | {name, big}",
                "{\"name\":\"web-1\",\"big\":12345678901234567890123}\n",
            ),
            (".[0].f", "1.10\n"),
            ("[.[].cpu / 2, nan]", "[1,2,null]\n"),
            (".[0].cpu / 4", "0.5\n"),
            (".[1].missing", "null\n"),
            ("empty", ""),
            (
                r#".[] | "\(.name|@json) \(.cpu)""#,
                "\"web-1\" 2\n\"db\\n\" 4\n",
            ),
            (
                "[.[].name | ascii_upcase | test(\"WEB\")]",
                "[true,false]\n",
            ),
            (
                "[.[0].name, \"a\\\"b,\", 1, null, true, \"\"] | @csv",
                "\"web-1\",\"a\"\"b,\",1,,true,\"\"\n",
            ),
            (
                r#"["a\tb\\", "", "c\nd", 2] | @tsv"#,
                "a\\tb\\\\\t\tc\\nd\t2\n",
            ),
            ("sort_by(-.cpu)[0].cpu", "4\n"),
            ("label $out | .[] | .cpu, break $out", "2\n"),
        ] {
            assert_eq!(run(code, VMS).as_deref(), Ok(output), "{code}");
        }
    }

    #[test]
    fn a_wrong_filter_is_located() {
        for (code, message) in [
            (
                ".[",
                "the jq filter is wrong at character 3: expected closing bracket",
            ),
            (
                ".[] | nme",
                "the jq filter is wrong at character 7: no filter 'nme'",
            ),
            (
                "é | $x",
                "the jq filter is wrong at character 1: expected token",
            ),
            (
                ". | $x",
                "the jq filter is wrong at character 5: no variable '$x'",
            ),
            (
                ". |",
                "the jq filter is wrong at character 4: expected term, found the end",
            ),
            (
                ". | )",
                "the jq filter is wrong at character 5: expected token",
            ),
            (
                "",
                "the jq filter is wrong at character 1: expected term, found the end",
            ),
        ] {
            assert_eq!(run(code, VMS), Err(message.to_owned()), "{code}");
        }
    }

    #[test]
    fn nothing_outside_the_data_is_reached() {
        for code in [
            "env",
            "$ENV",
            "halt",
            "halt_error",
            "input",
            "include \"x\"; .",
            "import \"x\" as x; .",
        ] {
            assert!(Filter::compile(code).is_err(), "{code}");
        }
        assert!(run("import \"a\" as $a; $a", "1").is_err());
    }

    #[test]
    fn a_filter_that_does_not_fit_the_data_says_why_in_short() {
        assert_eq!(
            run(".a", "[1]"),
            Err("the jq filter failed: cannot index [1] with \"a\"".to_owned())
        );
        assert_eq!(
            run("error(\"own\")", "1"),
            Err("the jq filter failed: own".to_owned())
        );
        let long = format!("[{}1]", "1,".repeat(10_000));
        assert!(run(".a", &long).unwrap_err().len() < 250);
        assert!(run(".", &("[".repeat(200_000) + &"]".repeat(200_000))).is_err());
    }

    #[test]
    fn results_before_a_failure_are_kept() {
        let mut out = Vec::new();
        let filter = Filter::compile(".[] | 1 / .").unwrap();
        assert!(filter.run("[1,\"a\"]", &mut out, Hidden::Keep).is_err());
        assert_eq!(out, b"1\n");
    }
}
