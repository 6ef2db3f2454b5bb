# finish_file FOLDER TEMP SIZE PARTS MODE TIME: a file whose PARTS have all arrived goes into its place. Standard input names it, below
# the folder, as words of shell; further words are other names of it.
cd -- "$1" || exit 44
temp=$2 size=$3 parts=$4 mode=$5 time=$6
# An answer that was lost is asked for again.
if [ -f "$temp-done" ]; then
    finished=1
    printf 'done'
    exit 0
fi
[ -f "$temp" ] || [ "$parts" = 0 ] || fail 43 "its parts are gone"
eval "set -- $(cat)"
for each do
    if [ -d "$each" ] && [ ! -L "$each" ]; then fail 42 "$each is a folder"; fi
    path=$each
    spare
done
# The part at the end may have been a hole.
dd if=/dev/null of="$temp" bs=1 count=0 seek="$size" 2>/dev/null || fail 44 "the file can't be extended"
got=$(wc -c <"$temp") || exit 44
[ "$((got))" = "$size" ] || fail 43 "$((got)) bytes are there instead of $size"
permit "$temp" "$mode" "$1"
stamp "$temp" "$time"
# Folders get their own mode at the end, unless they keep the one they have.
case $mode in keep:*) hidden=022 ;; *) hidden=077 ;; esac
for each do
    (umask "$hidden" && mkdir -p -- "${each%/*}") || exit 44
done
first=$1
shift
for each do
    ln -f -- "$temp" "$temp-name" && mv -f -- "$temp-name" "$each" || exit 44
done
mv -f -- "$temp" "$first" || exit 44
: >"$temp-done"
finished=1
printf 'done'
