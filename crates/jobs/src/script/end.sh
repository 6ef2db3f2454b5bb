# Ends job $1: SIGTERM to all of its processes, and SIGKILL to those that are still there after $2 times 1/20 s.
# Exit code: 0 done, 20 ended before, 21 lost, 23 no such job.
enter_root && cd "./$1" 2>/dev/null && read_state . || exit 23
[ "$state" != lost ] || exit 21
is_commanded . || exit 20
left=$2 leader=$pid

# Returns whether there is a process in the session of the job. As long as there is, no other gets its number.
has_processes() {
  for folder in /proc/[0-9]*; do
    read_process "${folder#/proc/}" || continue
    set -- $fields
    [ "$4" = "$leader" ] && [ "$1" != Z ] && return 0
  done
  return 1
}

signal_session TERM "$leader"
while has_processes; do
  if [ "$left" -le 0 ]; then
    signal_session KILL "$leader"
    break
  fi
  left=$((left - 1))
  pause 0.05
done
exit 0
