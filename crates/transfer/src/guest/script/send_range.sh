# send_range PATH CODEC HOW STAGE BLOCK COUNT: a part of a file on its way out, in blocks of 64 KiB; the address is on standard input.
path=$1 codec=$2 file=
# Other parts go at the same time.
threads=--single-thread
begin "$3" "$4"
printf 'before %s\n' "$(status "$path")"
statuses=$({ { dd if="$path" bs=65536 skip="$5" count="$6" 2>/dev/null; echo "read=$?" >&4; } | { encode; echo "$codec=$?" >&4; } |
    { sink; echo "upload=$?" >&4; }; } 4>&1)
[ -e "$path" ] || fail 41 "$path: no such file"
settled "$statuses"
printf 'after %s\n' "$(status "$path")"
hand_over
finished=1
printf 'done'
