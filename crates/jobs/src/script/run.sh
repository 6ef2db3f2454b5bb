# Looks after a job until its end, in the folder of the job: runs the command in a session of its own, keeps its output
# within a limit, and writes down its exit code.
#
# Arguments: id, the folder and umask of the command, time limit, limit of each log, then the words.
id=$1 folder=$2 mask=$3 time_limit=$4 log_limit=$5
shift 5
read_began $$ && printf '%s %s %s\n' $$ "$began" "$boot" >supervisor || exit
# From here on it is a job, whatever becomes of who started it. A folder that is moved into one of this id, as for a request
# that came twice, does not find that again.
mv "$(pwd -P)" "../$id" && cd "../$id" || exit

# A log is a row of files, each named after the place of its first byte in the stream. All but the last are full.
if [ "$log_limit" = 0 ]; then
  full=1073741824
else
  full=$((log_limit / 8))
fi

# Keeps standard input as the log $1. It is read to its end also when nothing can be written.
keep_log() {
  log=$1 first=0 at=0 size=0 failures=1
  while :; do
    if [ "$size" -ge "$full" ]; then
      at=$((at + full)) size=0
      while [ "$log_limit" != 0 ] && [ $((at + full - first)) -gt "$log_limit" ]; do
        rm -f "$log.$first"
        first=$((first + full))
      done
    fi
    room=$((full - size)) block=65536
    [ "$room" -ge "$block" ] || block=$room
    said=$(LC_ALL=C dd bs="$block" count=$((room / block)) 2>&1 >>"$log.$at")
    ended_with=$?
    case $said in
      0+0*) break ;;
    esac
    if [ $ended_with != 0 ]; then
      printf '1\n' 1<>lost
      # Ever more at once, so that a full disk does not hold the command up.
      drain $failures || break
      [ $failures -ge 64 ] || failures=$((failures * 2))
    else
      failures=1
    fi
    read_size "$log.$at"
  done
} 2>/dev/null

# Reads $1 blocks that there is no room for; fails at the end.
drain() {
  case $(LC_ALL=C dd bs=65536 count="$1" 2>&1 >/dev/null) in
    *'0+0 records in'*) return 1 ;;
    *' records in'*) return 0 ;;
  esac
  exec cat >/dev/null
}

run_command() {
  # What the shell says of a command that was killed does not belong to its output. It would if there were not a
  # second command between the braces, or no subshell: dash redirects its own errors with those of the command.
  {
    (exec setsid sh ./launch "$folder" "$mask" "$@" 2>&5 5>&-)
    code=$?
  } 5>&2 2>/dev/null
  read -r is_overtime <overtime
  if [ "$is_overtime" = 1 ]; then
    code=124
  elif [ "$timer" ]; then
    kill "$timer" 2>/dev/null
  fi
  read -r _ started _ <state
  printf '%-63s\n' "ended $started $(date +%s) $code" 1<>state.ended
  # At once: whoever reads it byte by byte never reads half of each.
  mv state.ended state
}

# Ends the command at its time limit: SIGTERM, and two seconds later SIGKILL.
watch_time() {
  trap 'kill "$sleeper"; exit' TERM
  sleep "$time_limit" &
  sleeper=$!
  wait "$sleeper"
  trap '' TERM
  is_commanded . || return
  command=$pid
  printf '1\n' 1<>overtime
  signal_session TERM "$command"
  tries=0
  while is_commanded . && [ $tries -lt 20 ]; do
    tries=$((tries + 1))
    pause 0.1
  done
  signal_session KILL "$command"
}

timer=
if [ "$time_limit" != 0 ]; then
  watch_time </dev/null >/dev/null 2>&1 9>&- &
  timer=$!
fi
{
  run_command "$@" 2>&1 >&4 4>&- | keep_log err 4>&- 9>&-
} 4>&1 | keep_log out 9>&-
