# What the scripts of jobs share. POSIX sh, with `[ -O FILE ]`, which dash, bash and BusyBox have.

root=/var/tmp/fastvm-jobs
{ read -r boot </proc/sys/kernel/random/boot_id; } 2>/dev/null || boot=unknown

# Returns whether a folder is one of this user's, and not a link that leads elsewhere.
is_own() {
  [ -d "$1" ] && [ ! -L "$1" ] && [ -O "$1" ]
}

# Goes to the folder of this user's jobs: a user who finds that of another has one with a number.
enter_root() {
  if is_own "$root-$(id -u)"; then
    root=$root-$(id -u)
  elif ! is_own "$root"; then
    return 1
  fi
  cd "$root" || return
}

# Sets `fields` to what stands behind the name in /proc/$1/stat: state, parent, group, session, …; the 20th is the start.
# The name may hold anything, line breaks too.
read_process() {
  fields=
  while read -r line; do
    fields=$line
  done <"/proc/$1/stat" || return 1
  fields=${fields##*) }
} 2>/dev/null

# Sets `began` to the start of process $1, in ticks since the kernel started.
read_began() {
  read_process "$1" || return 1
  set -- $fields
  began=${20}
}

# Returns whether process $1 is the one that began at $2, and not another with its number.
is_process() {
  read_began "$1" && [ "$began" = "$2" ]
}

# Returns whether the processes that look after the job in folder $1 are there.
is_supervised() {
  { read -r pid start boot_then <"$1/supervisor"; } 2>/dev/null || return 1
  [ "$boot_then" = "$boot" ] && is_process "$pid" "$start"
}

# Returns whether the command of the job in folder $1 is there, under the number `pid`.
is_commanded() {
  { read -r _ _ boot_then <"$1/supervisor"; } 2>/dev/null || return 1
  { read -r pid start <"$1/pid"; } 2>/dev/null || return 1
  [ "$boot_then" = "$boot" ] && is_process "$pid" "$start"
}

# Sets `state` to running, ended or lost, and `started`, `ended`, `code`. Fails if there is no job in folder $1.
read_state() {
  { read -r state started ended code _ <"$1/state"; } 2>/dev/null || return 1
  if [ "$state" = running ] && ! is_supervised "$1" && ! is_commanded "$1"; then
    # It may have ended in between.
    { read -r state started ended code _ <"$1/state"; } 2>/dev/null || return 1
    [ "$state" = ended ] || state=lost
  fi
}

# Signals all processes of session $2, the group of its leader as one.
signal_session() {
  signal=$1 session=$2 groups=
  kill "-$signal" "-$session" 2>/dev/null
  for folder in /proc/[0-9]*; do
    read_process "${folder#/proc/}" || continue
    set -- $fields
    if [ "$4" = "$session" ] && [ "$3" != "$session" ]; then
      groups="$groups -$3"
    fi
  done
  [ ! "$groups" ] || kill "-$signal" $groups 2>/dev/null
  return 0
}

# Sets `size` to the bytes of file $1.
read_size() {
  set -- $(LC_ALL=C ls -ln "$1" 2>/dev/null)
  size=${5:-0}
}

# Sleeps for part of a second where the VM can.
pause() {
  sleep "$1" 2>/dev/null || sleep 1
}
