# Writes the logs of a job from given bytes on: what is there of each comes without a gap, and nothing else does.
#
# Arguments: id, first byte of stdout and of stderr (or `-` to leave it out), and how long to wait for more, in 1/20 s.
# Exit code: 20 ended, 21 lost, 22 those bytes are not there, 23 no such job, 24 time is up.
exec 3>&1 4>&2 >/dev/null 2>&1
enter_root || exit 23
cd "./$1" || exit 23
out=$2 err=$3 left=$4

# Writes what one file has of log $1 from byte $2 on. Sets `next` to the byte after that.
send() {
  next=$2 at=
  for file in "$1".*; do
    start=${file#"$1".}
    case $start in *[!0-9]*) continue ;; esac
    if [ "$start" -le "$next" ] && [ "$start" -ge "${at:-0}" ]; then
      at=$start
    fi
  done
  if [ ! "$at" ]; then
    [ -e state ] || exit 23
    # A job that begins has no log yet.
    [ "$next" = 0 ] && [ "$file" = "$1.*" ] && return
    exit 22
  fi
  read_size "$1.$at"
  length=$((at + size - next))
  [ $length -ge 0 ] || exit 22
  [ $length -gt 0 ] || return 0
  { tail -c "+$((next - at + 1))" <&6 | head -c $length >&5; } 6<"$1.$at" || exit 22
  next=$((next + length)) moved=1
}

idle=0
while :; do
  # Looked at before the logs are: what is there then is all.
  read_state . || exit 23
  is_supervised . && has_writer=1 || has_writer=
  moved=
  if [ "$out" != - ]; then
    send out "$out" 5>&3
    out=$next
  fi
  if [ "$err" != - ]; then
    send err "$err" 5>&4
    err=$next
  fi
  if [ "$moved" ]; then
    idle=0
    continue
  fi
  idle=$((idle + 1))
  # Processes that the command has left may write on for ever.
  if [ "$state" != running ] && { [ ! "$has_writer" ] || [ "$out$err" = -- ] || [ $idle -gt 20 ]; }; then
    [ "$state" = lost ] && exit 21
    exit 20
  fi
  if [ $left -le 0 ]; then
    exit 24
  elif [ $idle -le 20 ]; then
    left=$((left - 1))
    pause 0.05
  else
    left=$((left - 4))
    pause 0.2
  fi
done
