# Starts a job. Says on the first line `started`, `refused CODE` for a command that did not begin, or `failed`; what
# follows says why.
#
# Arguments: id, its description, the scripts run.sh and launch.sh, time limit, limit of each log, size of the input or
# `-`, then the words around the command and the command.
id=$1 description=$2 run=$3 launch=$4 time_limit=$5 log_limit=$6 input=$7
shift 7
# A caller that leaves now finds the job started all the same.
trap : HUP INT TERM
folder=$PWD mask=$(umask)
umask 077

# Removes the folder of the job, which this is in, by the name that it has by now.
remove_folder() {
  made=$(pwd -P)
  cd / && rm -rf "$made"
}

fail() {
  printf 'failed\n%s\n' "$1"
  [ ! "$made" ] || remove_folder
  exit 0
}

make_root() {
  enter_root && return
  mkdir -p "${root%/*}" && mkdir -m 700 "$root"
  enter_root && return
  mkdir -m 700 "$root-$(id -u)"
  enter_root
} 2>/dev/null

# Removes what starts have left that were cut off: `.new-PROCESS.START.BOOT.ID`, whose process is gone.
remove_unfinished() {
  for unfinished in .new-*; do
    rest=${unfinished#.new-}
    pid=${rest%%.*} rest=${rest#*.}
    start=${rest%%.*} rest=${rest#*.}
    [ "${rest%%.*}" = "$boot" ] && is_process "$pid" "$start" && continue
    is_supervised "$unfinished" || rm -rf "$unfinished"
  done
}

write_files() {
  printf '%s\n' "$description" >info &&
    printf '%s\n' "$run" >run &&
    printf '%s\n' "$launch" >launch &&
    printf '%s\n' "running $(date +%s)" >state &&
    # Takes the place of `state` once it is written over, for which a full disk has room.
    printf '%-63s\n' '' >state.ended &&
    printf '0\n' >lost &&
    printf '0\n' >overtime
} 2>/dev/null

made=
for tool in setsid dd ls find date tail head tr grep; do
  command -v $tool >/dev/null || fail "the VM does not have the program $tool, which jobs need"
done
read_began $$ || fail "the VM does not show its processes in /proc, which jobs need"
unfinished_name=.new-$$.$began.$boot.$id
make_root || fail "no folder for jobs can be made at $root of the VM"
if [ -e "$id" ]; then
  # This request came twice.
  printf 'started\n'
  exit 0
fi
remove_unfinished
mkdir "$unfinished_name" 2>/dev/null && cd "$unfinished_name" ||
  fail "no folder can be made in $root of the VM: its disk may be full"
made=1
write_files || fail "nothing can be written to $root of the VM: its disk may be full"
if [ "$input" = - ]; then
  exec </dev/null
else
  cat >input 2>/dev/null
  read_size input
  [ "$size" = "$input" ] || fail "the standard input does not fit in $root of the VM, or was cut off: its disk may be full"
  exec <input
  rm -f input
fi
# The number of the process that becomes the command comes through descriptor 9. A leader of a session that calls setsid
# leaves the rest to a child: so nobody waits for that, and it does not ignore the signals that a background job ignores.
process=$(
  setsid sh -c 'exec setsid "$@"' fastvm-job sh ./run "$id" "$folder" "$mask" "$time_limit" "$log_limit" "$@" \
    9>&1 >/dev/null 2>/dev/null | {
    read -r process
    printf '%s\n' "$process"
  }
)

# Until it has become the command, or could not.
tries=0
while [ "$process" ] && [ $tries -lt 200 ]; do
  case $(tr '\0' ' ' 2>/dev/null <"/proc/$process/cmdline") in
    '') break ;;
    *"fastvm-job-$id"*) ;;
    *)
      printf 'started\n'
      exit 0
      ;;
  esac
  tries=$((tries + 1))
  pause 0.02
done
# It has ended already, or could not begin. Its words are all there when nobody looks after it any more.
tries=0
while read_state . && is_supervised . && [ $tries -lt 500 ]; do
  case $state.$code in
    running.* | ended.126 | ended.127) ;;
    *) break ;; # a code of the command itself
  esac
  tries=$((tries + 1))
  pause 0.02
done
if [ "$process" ] && ! grep -q "^fastvm-job-$id: not started" err.0 2>/dev/null; then
  printf 'started\n'
  exit 0
fi
[ "$state" = ended ] || fail "the command did not begin: the VM may have no room for more processes or files"
printf 'refused %s\n' "$code"
grep -v "^fastvm-job-$id: not started" err.0 2>/dev/null | head -c 4000
remove_folder
exit 0
