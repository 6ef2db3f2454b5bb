//! Folder, user, environment and staged input of a command, as words in front of its own: never joined, never quoted.

use clap::Args;

use super::guest_leftovers::Folder;
use crate::error::Error;
use fastvm_api::types::EnvVars;

/// A shell forgets an interrupt that comes while it waits for a program of ours which does not die of it.
const HEED_INTERRUPTS: &str = "trap 'exit 130' INT";

/// The command hears them itself.
const BECOME_COMMAND: &str = r#"
trap - INT
exec "$@""#;

/// Standard input from the staged file, which is gone before the command starts.
const TAKE_INPUT: &str = r#"
exec <"$1/input" || exit 126
rm -rf -- "$1"
shift"#;

const ENTER_FOLDER: &str = r#"
if [ ! -d "$1" ]; then
  printf 'fastvm: there is no folder %s in the VM\n' "$1" >&2
  exit 126
fi
if ! CDPATH= cd -- "$1" 2>/dev/null; then
  printf 'fastvm: cannot enter the folder %s in the VM: permission denied\n' "$1" >&2
  exit 126
fi
shift"#;

/// Looks the user up, then takes the first tool that can become it. `setpriv` of BusyBox cannot, so it is tried.
const BECOME_USER: &str = r#"
wanted=$1
shift
refuse() {
  printf 'fastvm: %s\n' "$1" >&2
  exit 126
}
name= uid= gid= home= found=
while IFS=: read -r name _ uid gid _ home _; do
  if [ "$name" = "$wanted" ] || [ "$uid" = "$wanted" ]; then
    found=yes
    break
  fi
done </etc/passwd
groups=--init-groups
if [ ! "$found" ]; then
  case $wanted in
    *[!0-9]*) refuse "there is no user $wanted in the VM" ;;
  esac
  name=$wanted uid=$wanted gid=$wanted home=/ groups=--clear-groups
fi
set -- env HOME="$home" USER="$name" LOGNAME="$name" "$@"
me=$(id -u)
if [ "$me" = "$uid" ]; then
  :
elif [ "$me" != 0 ]; then
  refuse "cannot run as $wanted: commands in this VM run as the user $me, not as root"
elif setpriv --reuid="$uid" --regid="$gid" "$groups" true 2>/dev/null; then
  set -- setpriv --reuid="$uid" --regid="$gid" "$groups" "$@"
elif [ ! "$found" ]; then
  refuse "cannot run as $wanted: that needs setpriv of util-linux, which the VM does not have"
elif command -v runuser >/dev/null 2>&1; then
  set -- runuser -u "$name" -- "$@"
elif command -v su >/dev/null 2>&1; then
  set -- su -s /bin/sh -c 'exec "$0" "$@"' -- "$name" "$@"
else
  refuse "cannot run as $wanted: the VM has neither setpriv nor runuser nor su"
fi"#;

#[derive(Clone, Debug, Default, Args)]
pub(crate) struct PlaceOptions {
    /// Run in this folder of the VM
    #[arg(short = 'w', long = "workdir", value_name = "DIR")]
    folder: Option<String>,

    /// Run as this user of the VM, by name or number
    #[arg(short = 'u', long = "user", value_name = "USER")]
    user: Option<String>,
}

impl PlaceOptions {
    /// The place of a command of this user.
    pub(crate) fn of_user(user: Option<String>) -> Self {
        Self { folder: None, user }
    }

    /// The user that the command is to run as, if it was said.
    pub(super) fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Refuses what no VM can have.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let is_bad = |text: &Option<String>| text.as_ref().is_some_and(String::is_empty);
        if is_bad(&self.folder) {
            return Err(Error::usage("the folder of --workdir is empty"));
        }
        if is_bad(&self.user) || self.user.as_ref().is_some_and(|user| user.contains(':')) {
            return Err(Error::usage("--user takes one name or number of a user"));
        }
        Ok(())
    }
}

/// All that a command is to find around it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wrapper<'a> {
    pub(crate) place: &'a PlaceOptions,
    pub(crate) variables: &'a EnvVars,
    pub(crate) input: Option<&'a Folder>,
}

impl Wrapper<'_> {
    /// The argv that runs a command in these surroundings. Without any it is the command itself.
    pub(crate) fn around(&self, command: &[String]) -> Vec<String> {
        let inner = with_variables(self.variables, command);
        let mut script = String::new();
        let mut arguments = Vec::new();
        if let Some(folder) = self.input {
            script.push_str(TAKE_INPUT);
            arguments.push(folder.path().to_owned());
        }
        if let Some(folder) = &self.place.folder {
            script.push_str(ENTER_FOLDER);
            arguments.push(no_option(folder));
        }
        if let Some(user) = &self.place.user {
            script.push_str(BECOME_USER);
            arguments.push(user.clone());
        }
        if script.is_empty() {
            return inner;
        }
        let script = format!("{HEED_INTERRUPTS}{script}{BECOME_COMMAND}");
        let mut argv = ["sh", "-c", &script, "fastvm"].map(str::to_owned).to_vec();
        argv.extend(arguments);
        argv.extend(inner);
        argv
    }
}

/// `env` takes words with `=` for variables up to the program's name, so such a name needs a shell in between.
fn with_variables(variables: &EnvVars, command: &[String]) -> Vec<String> {
    if variables.is_empty() {
        return command.to_vec();
    }
    let mut argv = vec!["env".to_owned()];
    argv.extend(
        variables
            .iter()
            .map(|(name, value)| format!("{name}={value}")),
    );
    if command.first().is_some_and(|program| program.contains('=')) {
        argv.extend(["sh", "-c", "exec \"$@\"", "fastvm"].map(str::to_owned));
    }
    argv.extend_from_slice(command);
    argv
}

/// `cd -` would go back instead of into a folder of that name.
fn no_option(folder: &str) -> String {
    match folder.starts_with('-') {
        true => format!("./{folder}"),
        false => folder.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn a_command_without_surroundings_stays_as_it_is() {
        let command = words(&["printf", "%s", "a b"]);
        let around = Wrapper {
            place: &PlaceOptions::default(),
            variables: &EnvVars::new(),
            input: None,
        };
        assert_eq!(around.around(&command), command);
    }

    #[test]
    fn variables_are_words_and_a_program_with_an_equals_sign_stays_a_program() {
        let variables = EnvVars::from([("A".to_owned(), "b c'".to_owned())]);
        assert_eq!(
            with_variables(&variables, &words(&["ls", "x=y"])),
            ["env", "A=b c'", "ls", "x=y"]
        );
        assert_eq!(
            with_variables(&variables, &words(&["x=y", "z"])),
            [
                "env",
                "A=b c'",
                "sh",
                "-c",
                "exec \"$@\"",
                "fastvm",
                "x=y",
                "z"
            ]
        );
    }
}
