# Becomes the command.
# Arguments: folder, sign of a group, shell line for a terminal or nothing, program for a terminal, then the command.
folder=$1 sign=$2 line=$3 python=$4
shift 4
echo "$sign$$" >"$folder/command"
if [ -e "$folder/ended" ]; then
  exit 125
fi
if ! command -v -- "$1" >/dev/null; then
  echo "fastvm: $1: not found" >&2
  exit 127
fi
if [ -z "$line" ]; then
  exec "$@"
fi
FASTVM_STREAM=$folder FASTVM_SHELL=${SHELL-} SHELL=/bin/sh
export FASTVM_STREAM FASTVM_SHELL SHELL
case $(script --version 2>/dev/null) in
  *util-linux*) exec script -qefc "$line" /dev/null ;;
esac
if command -v python3 >/dev/null 2>&1; then
  exec python3 -c "$python" "$@"
fi
echo 'fastvm: a terminal needs `script` or `python3` in the VM, which has neither' >&2
exit 126
