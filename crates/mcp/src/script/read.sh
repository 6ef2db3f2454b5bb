# Prints bytes of file $1, $3 of them from the $2nd on, and on standard error the size of the file.
[ ! -d "$path" ] || exit 42
[ -f "$path" ] || exit 44
[ -r "$path" ] || exit 43
stat -L -c %s "$path" >&2 || exit
tail -c "+$2" "$path" | head -c "$3"
