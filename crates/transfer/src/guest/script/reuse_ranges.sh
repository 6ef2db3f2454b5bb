# reuse_ranges OLD NEW (BLOCK SIZE SUM)...: a file that an earlier copy left, to where this one puts it together. For each part, at a place in blocks
# of 64 KiB, it is said whether the bytes are those of the checksum; if none are, the file stays where it is. Without NEW it is only looked at.
old=$1 new=$2 same= answers=
shift 2
# What has another name already is in its place: to write into it would not be seen as old or new.
alone() { [ ! -L "$1" ] && [ "$(stat -c %h -- "$1")" = 1 ]; }
if [ -f "$old" ] && { [ -z "$new" ] || alone "$old"; }; then
    while [ $# -gt 0 ]; do
        got=$({ dd bs=65536 skip="$1" count=0 2>/dev/null; head -c "$2" | cksum; } <"$old") || exit 44
        answer=0
        if [ "$got" = "$3 $2" ]; then answer=1 same=1; fi
        answers=$answers$answer
        shift 3
    done
fi
if [ -n "$same" ] && [ -n "$new" ]; then mv -f -- "$old" "$new" || exit 44; fi
finished=1
printf '%sdone' "$answers"
