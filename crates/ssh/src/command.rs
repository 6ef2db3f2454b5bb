//! What runs in the VM.

use fastvm_api::types::EnvVars;

/// Goes to the home folder, and becomes the user's shell, with a line to run or as the shell of a login.
///
/// Accounts that may not log in have a shell all the same: whoever reaches the VM is its owner.
const BECOME_SHELL: &str = r#"line=$1
me=$(id -u)
home= shell=
while IFS=: read -r _ _ uid _ _ home shell; do
  [ "$uid" = "$me" ] && break
  home= shell=
done </etc/passwd
case $shell in
  */nologin | */false) shell= ;;
esac
[ -x "$shell" ] || shell=/bin/sh
HOME=${HOME:-${home:-/}} SHELL=$shell
export HOME SHELL
cd -- "$HOME" 2>/dev/null
if [ -n "$line" ]; then
  exec "$shell" -c "$line"
fi
exec "$shell" -l"#;

/// Says where the program is that OpenSSH has for `sftp`, in a folder where distributions put it, or else where it is.
const FIND_SFTP: &str = r#"for server in /usr/lib/openssh/sftp-server /usr/libexec/openssh/sftp-server /usr/lib/ssh/sftp-server /usr/libexec/sftp-server /usr/lib/sftp-server; do
  [ -x "$server" ] && exec printf "\000p%s\000" "$server"
done
printf "\000h%s\000" "$(pwd -P)""#;

/// Variables that a client may set: those of `AcceptEnv` in Debian, and what git needs for its newer protocol.
const VARIABLES: [&str; 4] = ["LANG", "COLORTERM", "NO_COLOR", "GIT_PROTOCOL"];

/// Returns the words that run a line with the user's shell in the home folder, or an empty one as the shell of a login.
pub fn shell(line: &str) -> Vec<String> {
    ["sh", "-c", BECOME_SHELL, "fastvm", line]
        .map(str::to_owned)
        .to_vec()
}

/// Returns the words that say, between zeros, `p` and the program of the VM that serves files, or `h` and the home folder.
pub(crate) fn find_sftp() -> Vec<String> {
    shell(&format!("exec sh -c '{FIND_SFTP}'"))
}

/// Takes a variable that a client may set. False if it may not.
pub(crate) fn set(variables: &mut EnvVars, name: &str, value: &str) -> bool {
    let category = name.strip_prefix("LC_").unwrap_or_default();
    let is_category = !category.is_empty()
        && category
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let is_taken = (is_category || VARIABLES.contains(&name)) && !value.contains('\0');
    if is_taken {
        variables.insert(name.to_owned(), value.to_owned());
    }
    is_taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_sets_what_changes_no_program() {
        let mut variables = EnvVars::new();
        for name in ["LANG", "LC_ALL", "GIT_PROTOCOL"] {
            assert!(set(&mut variables, name, "C"), "{name}");
        }
        for name in ["PATH", "LD_PRELOAD", "LC_", "LC_A=B", "lang", "LC_A B"] {
            assert!(!set(&mut variables, name, "C"), "{name}");
        }
        assert_eq!(variables.len(), 3);
    }
}
