# put_range TEMP BLOCK SIZE SUM CODEC FILE: a part of a file, at a place counted in blocks of 64 KiB. SUM is empty, or the checksum of an
# object whose codec has none. The file is new, so zeros need not be written.
temp=$1 block=$2 size=$3 sum=$4 codec=$5
file=$6
next_url
if [ -n "$sum" ]; then
    if [ -z "$file" ]; then
        kept=$temp-$block-object-$$
        fetch >"$kept" || { code=$?; rm -f -- "$kept"; fail 46 "failed: download=$code"; }
        file=$kept
    fi
    got=$(cksum <"$file") || exit 44
    if [ "${got%% *}" != "$sum" ]; then rm -f -- "$file"; fail 43 "the checksum is ${got%% *} instead of $sum"; fi
fi
if dd if=/dev/null of=/dev/null iflag=fullblock conv=sparse,notrunc 2>/dev/null; then
    write() { said=$(dd of="$temp" bs=65536 seek="$block" iflag=fullblock conv=sparse,notrunc 2>&1) || { printf '%s\n' "$said" >&2; return 1; }; }
else
    write() { said=$(dd of="$temp" bs=65536 seek="$block" conv=notrunc 2>&1) || { printf '%s\n' "$said" >&2; return 1; }; }
fi
# What goes into the file is counted on its way.
statuses=$({ { fetch; echo "download=$?" >&4; } | { decode; echo "$codec=$?" >&4; } |
    { { tee /dev/fd/5 | wc -c | { read -r got && echo "size$((got))=0" >&4; }; } 5>&1; echo "count=$?" >&4; } |
    { write; echo "write=$?" >&4; }; } 4>&1)
[ -z "$file" ] || rm -f -- "$file"
settled "$statuses"
case " $statuses " in
    *"size$size=0"*) ;;
    *) fail 43 "not $size bytes arrived" ;;
esac
finished=1
printf 'done'
