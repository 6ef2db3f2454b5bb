# running: whether a command that has the line on standard input among its arguments is still there. No argument of this one holds it.
IFS= read -r word || exit 44
set --
for each in /proc/[0-9]*/cmdline; do
    if [ -r "$each" ]; then set -- "$@" "$each"; fi
done
[ $# != 0 ] || exit 44
cat -- "$@" 2>/dev/null | {
    found=no
    while IFS= read -r line || [ -n "$line" ]; do
        case $line in *"$word"*) found=yes ;; esac
    done
    printf '%s' "$found"
}
finished=1
