# Lists folder $1: mode, size and name of each entry, each ended by a zero byte.
[ -d "$path" ] || exit 45
cd "$path" 2>/dev/null && [ -r . ] || exit 43
find . -mindepth 1 -maxdepth 1 -exec sh -c '
  for entry; do
    about=$(stat -c "%f %s" "$entry" 2>/dev/null) || continue
    printf "%s %s\0" "$about" "$entry"
  done' sh {} +
exit 0
