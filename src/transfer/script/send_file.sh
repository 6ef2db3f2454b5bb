# send_file PATH CODEC: a file to the address on standard input.
path=$1 codec=$2 file=
next_url
printf 'before %s\n' "$(status "$path")"
statuses=$({ { cat <"$path"; echo "read=$?" >&4; } | { encode; echo "$codec=$?" >&4; } | { put; echo "upload=$?" >&4; }; } 4>&1)
settled "$statuses"
printf 'after %s\n' "$(status "$path")"
if [ "$codec" = none ]; then
    sum=$(cksum <"$path") || exit 44
    printf 'sum %s\n' "${sum%% *}"
fi
finished=1
printf 'done'
