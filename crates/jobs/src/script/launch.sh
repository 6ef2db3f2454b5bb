# Leads the session of a job: writes down which process that is, and becomes the command or what is around it.
#
# Arguments: the folder and umask of the command, then the words.
folder=$1 mask=$2
shift 2
note_process() {
  while read -r line; do
    fields=$line
  done </proc/$$/stat
  set -- ${fields##*) }
  printf '%s %s\n' $$ "${20}" >pid.new && mv pid.new pid
}
if ! note_process; then
  printf 'fastvm: the disk of the VM is full\n' >&2
  exit 126
fi
cd "$folder" 2>/dev/null || cd /
unset OLDPWD
umask "$mask"
exec "$@"
