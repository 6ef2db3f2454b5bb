//! Takes passwords, tokens and keys out of configuration that everybody may read, so that it can be shown in machines.
//!
//! Lines stay where they are, and values become empty: configuration without credentials is not changed by a byte, and the rest is still
//! what its program can read.

use std::ffi::OsStr;
use std::path::Path;

use memchr::memmem;

/// Files that hold nothing but credentials, wherever they are.
const FILES: [&str; 20] = [
    ".boto",
    ".git-credentials",
    ".netrc",
    ".pgpass",
    ".pypirc",
    ".s3cfg",
    "_netrc",
    "auth.conf",
    "auth.json",
    "boto.cfg",
    "credentials",
    "credentials.json",
    "credentials.toml",
    "fetchmailrc",
    "git-credentials",
    "netrc",
    "pgpass",
    "pypirc",
    "rclone.conf",
    "s3cfg",
];
/// Formats of private keys that are not text.
const EXTENSIONS: [&str; 6] = ["jks", "kdbx", "keytab", "p12", "pfx", "ppk"];
/// What every private key in text has.
const PRIVATE_KEY: [&str; 2] = ["PRIVATE KEY-----", "PRIVATE KEY BLOCK-----"];
/// Files whose keys are called like credentials and are none: prompts, and names of files.
const DESCRIPTIONS: [&str; 1] = ["openssl.cnf"];
/// How the names of credentials end, in small letters, with `_` for `-`.
const NAMES: [&str; 14] = [
    "_auth",
    "_pwd",
    "access_key",
    "accesskey",
    "api_key",
    "apikey",
    "passphrase",
    "passwd",
    "password",
    "secret",
    "secret_key",
    "secretkey",
    "token",
    "tokens",
];
/// The names whose value follows a colon in the middle of a line too, as in a header.
const HEADERS: [&str; 4] = ["authorization", "_api_key", "_auth_token", "private_token"];
/// Accounts of these are not secret.
const SSH_SCHEMES: [&[u8]; 4] = [b"ssh", b"git+ssh", b"ssh+git", b"sftp"];

/// Returns whether a file is left out, whatever is in it.
pub(super) fn is_left_out(path: &Path) -> bool {
    let is_one_of = |part: Option<&OsStr>, list: &[&str]| {
        part.is_some_and(|part| list.iter().any(|one| part.eq_ignore_ascii_case(one)))
    };
    is_one_of(path.file_name(), &FILES) || is_one_of(path.extension(), &EXTENSIONS)
}

/// The content of a file without credentials, or `None` if it is a private key. Binary files stay as they are.
pub(super) fn remove(path: &Path, content: Vec<u8>) -> Option<Vec<u8>> {
    if memchr::memchr(0, &content).is_some() {
        return Some(content);
    }
    let is_key = |marker: &&str| memmem::find(&content, marker.as_bytes()).is_some();
    if PRIVATE_KEY.iter().any(is_key) {
        return None;
    }
    let has_names = !DESCRIPTIONS.iter().any(|name| path.ends_with(name));
    let mut kept = Vec::with_capacity(content.len());
    for line in content.split_inclusive(|byte| *byte == b'\n') {
        let line = without_user_info(line);
        match has_names {
            true => kept.extend(without_values(&line)),
            false => kept.extend(line),
        }
    }
    Some(kept)
}

/// A line without the accounts of its URLs: `https://user:password@host` becomes `https://host`.
fn without_user_info(line: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some(found) = memmem::find(rest, b"://") {
        let (before, after) = rest.split_at(found + 3);
        kept.extend(before);
        let scheme = before[..found].rsplit(|byte| !is_scheme(*byte)).next();
        rest = &after[user_info(scheme.unwrap_or_default(), after)..];
    }
    kept.extend(rest);
    kept
}

fn is_scheme(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)
}

/// How many bytes of what follows `://` are an account, with its `@`.
fn user_info(scheme: &[u8], after: &[u8]) -> usize {
    let word = after.split(|byte| byte.is_ascii_whitespace() || b"\"'`<>".contains(byte));
    let word = word.into_iter().next().unwrap_or_default();
    let authority = word
        .split(|byte| b"/?#".contains(byte))
        .next()
        .unwrap_or_default();
    let (account, end) = match (memchr::memrchr(b'@', authority), memchr::memchr(b'@', word)) {
        (Some(at), _) => (&authority[..at], at + 1),
        // A password with a slash in it is no proper URL, and is written all the same. What looks like a port is one.
        (None, Some(at)) if has_password(authority) => (&word[..at], at + 1),
        _ => return 0,
    };
    let is_ssh = SSH_SCHEMES
        .iter()
        .any(|one| scheme.eq_ignore_ascii_case(one));
    if is_ssh && !account.contains(&b':') {
        0
    } else {
        end
    }
}

fn has_password(authority: &[u8]) -> bool {
    let after_colon = authority.splitn(2, |byte| *byte == b':').nth(1);
    !authority.starts_with(b"[")
        && after_colon.is_some_and(|port| {
            port.iter()
                .any(|byte| !byte.is_ascii_digit() && *byte != b'$')
        })
}

/// A line without the values of what is called a password, a token and the like.
fn without_values(line: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(line.len());
    let mut position = 0;
    while let Some(found) = memchr::memchr3(b'=', b':', b'>', &line[position..]) {
        let separator = position + found;
        kept.extend(&line[position..=separator]);
        position = separator + 1;
        if let Some(name) = Name::before(line, separator)
            && name.is_secret()
        {
            let value = name.value(&line[position..]);
            kept.extend(&line[position..position + value.start]);
            position += value.end;
        }
    }
    kept.extend(&line[position..]);
    kept
}

/// What is named before a separator, and how.
struct Name {
    /// In small letters, with `_` for `-`.
    text: String,
    separator: u8,
    /// What precedes it: nothing but indentation or a mark of a list, a quote, a `<`.
    is_first: bool,
    is_quoted: bool,
    is_tag: bool,
    /// Whether there is space between it and the separator or its value.
    is_spaced: bool,
}

impl Name {
    fn before(line: &[u8], separator: usize) -> Option<Self> {
        let spaced = line[..separator].trim_ascii_end();
        let is_quoted = spaced.last().is_some_and(|byte| b"\"'".contains(byte));
        let end = spaced.len() - usize::from(is_quoted);
        let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-".contains(byte);
        let length = spaced[..end]
            .iter()
            .rev()
            .take_while(|byte| is_name(byte))
            .count();
        let start = end - length;
        let before = &line[..start];
        let text = std::str::from_utf8(&line[start..end]).ok()?;
        let next = line.get(separator + 1);
        (length > 0).then(|| Self {
            text: text.to_ascii_lowercase().replace('-', "_"),
            separator: line[separator],
            is_first: before.iter().all(|byte| b" \t-#;\"'".contains(byte)),
            is_quoted,
            is_tag: before.ends_with(b"<"),
            is_spaced: spaced.len() < separator || next.is_some_and(u8::is_ascii_whitespace),
        })
    }

    fn is_secret(&self) -> bool {
        let ends_with = |names: &[&str]| names.iter().any(|name| self.text.ends_with(name));
        match self.separator {
            b'=' => ends_with(&NAMES) || ends_with(&HEADERS),
            b'>' => self.is_tag && ends_with(&NAMES),
            // `passwd: files` says where users are looked up.
            _ if self.text == "passwd" => false,
            _ if self.is_quoted && self.text == "auth" => true,
            _ => ends_with(&HEADERS) || (self.is_first && ends_with(&NAMES)),
        }
    }

    /// Where the value is in what follows the separator. A reference to a variable is none.
    fn value(&self, rest: &[u8]) -> std::ops::Range<usize> {
        let start = rest.len() - rest.trim_ascii_start().len();
        let value = rest[start..].trim_ascii_end();
        let length = match value.first() {
            None | Some(b'$') => 0,
            Some(quote @ (b'"' | b'\'')) => {
                let inside = &value[1..];
                let length = memchr::memchr(*quote, inside).unwrap_or(inside.len());
                return start + 1..start + 1 + length;
            }
            Some(_) if self.separator == b'>' => until(value, b"<"),
            // The rest of a line is one value in most files; in a command or a URL it ends before.
            Some(_) if self.is_first || self.is_spaced => until(value, b"\"'"),
            Some(_) => until(value, b" \t;&\"'"),
        };
        start..start + length
    }
}

fn until(value: &[u8], ends: &[u8]) -> usize {
    let end = value.iter().position(|byte| ends.contains(byte));
    end.unwrap_or(value.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn removed(name: &str, text: &str) -> Option<String> {
        remove(Path::new(name), text.as_bytes().to_vec())
            .map(|kept| String::from_utf8_lossy(&kept).into_owned())
    }

    #[track_caller]
    fn becomes(text: &str, kept: &str) {
        assert_eq!(removed("x.conf", text).as_deref(), Some(kept), "{text}");
    }

    #[test]
    fn urls_lose_their_accounts() {
        for (text, kept) in [
            (
                "index-url = https://user:pass@host/simple\n",
                "index-url = https://host/simple\n",
            ),
            (
                "deb [arch=amd64] http://tok@host:80/d x main",
                "deb [arch=amd64] http://host:80/d x main",
            ),
            (
                "[url \"https://oauth2:t@git.host/\"]",
                "[url \"https://git.host/\"]",
            ),
            ("a=http://u:p@h/ b=http://u:p@h/", "a=http://h/ b=http://h/"),
            ("proxy=http://u:p@ss@h:3128", "proxy=http://h:3128"),
            ("proxy=http://u:p/a#s@h:3128/", "proxy=http://h:3128/"),
            ("ssh://git:pass@host/x", "ssh://host/x"),
            ("HTTPS://:token@host", "HTTPS://host"),
        ] {
            becomes(text, kept);
        }
    }

    #[test]
    fn values_of_secrets_become_empty() {
        for (text, kept) in [
            (
                "//registry.npmjs.org/:_authToken=npm_abc\n",
                "//registry.npmjs.org/:_authToken=\n",
            ),
            ("_auth = dXNlcjpw\n", "_auth = \n"),
            ("//h/:_password=\"eA==\"", "//h/:_password=\"\""),
            (
                "\textraHeader = Authorization: Basic eA==\n",
                "\textraHeader = Authorization: \n",
            ),
            (
                "  helper = \"!f() { echo password=x; }; f\"",
                "  helper = \"!f() { echo password=; }; f\"",
            ),
            ("export GITHUB_TOKEN=abc\n", "export GITHUB_TOKEN=\n"),
            (
                "export A_TOKEN='a b'; export B=c\n",
                "export A_TOKEN=''; export B=c\n",
            ),
            (
                "Environment=\"API_KEY=abc\" \"B=c\"",
                "Environment=\"API_KEY=\" \"B=c\"",
            ),
            (
                "ExecStart=/bin/x --auth-token=abc --port=1",
                "ExecStart=/bin/x --auth-token= --port=1",
            ),
            ("  \"auth\": \"dTpw\",\n", "  \"auth\": \"\",\n"),
            ("  \"password\": \"x\",\n", "  \"password\": \"\",\n"),
            ("token = \"x\" # mine\n", "token = \"\" # mine\n"),
            ("- password: pass phrase\n", "- password: \n"),
            ("# old_password = x\n", "# old_password = \n"),
            (
                "aws_secret_access_key = x/y+z=\n",
                "aws_secret_access_key = \n",
            ),
            (
                "access-tokens = github.com=ghp_x gitlab.com=y\n",
                "access-tokens = \n",
            ),
            (
                "<password>x</password><id>y</id>",
                "<password></password><id>y</id>",
            ),
            ("http.proxyPassword=x\r\n", "http.proxyPassword=\r\n"),
            ("header = \"X-Api-Key: abc\"", "header = \"X-Api-Key: \""),
            (
                "https://h/x?private_token=abc&page=1",
                "https://h/x?private_token=&page=1",
            ),
        ] {
            becomes(text, kept);
        }
    }

    #[test]
    fn other_configuration_stays_as_it_is() {
        for text in [
            "passwd:         files systemd\nshadow: files\n",
            "password\t[success=1 default=ignore]\tpam_unix.so obscure use_authtok\n",
            "Accept-Type: password\nName: passwords\n",
            "//registry.npmjs.org/:_authToken=${NPM_TOKEN}\n",
            "index-url = https://pypi.org/simple\nssh://git@host/x git@host:x\n",
            "http://[::1]:80/a@b http://host:80/a@b http://h/a:b@c\n",
            "PasswordAuthentication no\nPASS_MAX_DAYS 99999\n",
            "no newline, \u{fc}: a=b==",
        ] {
            becomes(text, text);
        }
        let prompts = "challengePassword = A challenge password\nprivate_key = $dir/key.pem\n";
        assert_eq!(
            removed("ssl/openssl.cnf", prompts).as_deref(),
            Some(prompts)
        );
        let binary = b"password=x\0".to_vec();
        assert_eq!(remove(Path::new("x"), binary.clone()), Some(binary));
    }

    #[test]
    fn private_keys_and_files_of_credentials_are_left_out() {
        for kind in ["", "RSA ", "OPENSSH ", "ENCRYPTED "] {
            assert_eq!(
                removed("k.pem", &format!("x\n-----BEGIN {kind}PRIVATE KEY-----\n")),
                None
            );
        }
        assert_eq!(
            removed("k.asc", "-----BEGIN PGP PRIVATE KEY BLOCK-----\n"),
            None
        );
        assert!(removed("c.pem", "-----BEGIN CERTIFICATE-----\n").is_some());
        assert!(is_left_out(Path::new("nix/netrc")) && is_left_out(Path::new("a/b.P12")));
        assert!(!is_left_out(Path::new("apt/sources.list")));
    }
}
