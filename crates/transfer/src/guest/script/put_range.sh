# put_range TEMP BLOCK SIZE SUM CODEC FILE: a part of a file, at a place counted in blocks of 64 KiB. SUM is empty, or the checksum of an
# object whose codec has none. The last program writes into the file itself, whose descriptor stands at the place.
temp=$1 block=$2 size=$3 sum=$4 codec=$5
file=$6
next_url
place=$((block * 65536))
exec 3<>"$temp" || exit 44

# Sets $position to where the descriptor stands.
tell() {
    position=
    while read -r key value; do
        case $key in pos:) position=$value ;; esac
    done </proc/self/fdinfo/3
    [ -n "$position" ] || fail 44 "the VM does not tell how much of a file was written"
}

dd bs=65536 seek="$block" count=0 conv=notrunc </dev/null >&3 2>/dev/null
tell
[ "$position" = "$place" ] || fail 44 "dd does not find the place of a part"
if [ "$codec" = none ]; then
    fetch >&3
    statuses=download=$?
else
    statuses=$({ { fetch; echo "download=$?" >&4; } | { decode >&3; echo "$codec=$?" >&4; }; } 4>&1)
fi
[ -z "$file" ] || rm -f -- "$file"
tell
# What follows may have arrived before, and is damaged now: to send this part again is not enough, whatever else went wrong.
if [ "$position" -gt $((place + size)) ]; then fail 44 "$((position - place)) bytes arrived instead of $size"; fi
settled "$statuses"
[ "$position" = $((place + size)) ] || fail 43 "$((position - place)) bytes arrived instead of $size"
if [ -n "$sum" ]; then
    got=$({ dd bs=65536 skip="$block" count=0 2>/dev/null; head -c "$size" | cksum; } <"$temp")
    if [ "${got%% *}" != "$sum" ]; then fail 43 "the checksum is ${got%% *} instead of $sum"; fi
fi
finished=1
printf 'done'
