# Removes jobs, and with $1 `force` those that run too, which it kills. Says of each `removed`, `running` or `absent`.
force=$1
shift
enter_root || root=
for id; do
  if [ ! "$root" ] || ! read_state "$id"; then
    printf 'absent\n'
    continue
  fi
  tries=0
  while [ "$force" = force ] && [ "$state" = running ] && [ $tries -lt 100 ]; do
    ! is_commanded "$id" || signal_session KILL "$pid"
    pause 0.05
    read_state "$id" || state=absent
    tries=$((tries + 1))
  done
  if [ "$state" = running ]; then
    printf 'running\n'
  elif mv "$id" ".gone-$id" 2>/dev/null; then
    printf 'removed\n'
  else
    printf 'absent\n'
  fi
done
# What still writes there may make a file meanwhile.
for _ in 1 2 3 4 5; do
  [ ! "$root" ] || rm -rf .gone-* && break
  pause 0.05
done 2>/dev/null
exit 0
