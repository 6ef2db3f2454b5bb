# send_file PATH CODEC HOW STAGE: a file on its way out; the address is on standard input.
path=$1 codec=$2 file=
begin "$3" "$4"
printf 'before %s\n' "$(status "$path")"
statuses=$({ { cat <"$path"; echo "read=$?" >&4; } | { encode; echo "$codec=$?" >&4; } | { sink; echo "upload=$?" >&4; }; } 4>&1)
settled "$statuses"
printf 'after %s\n' "$(status "$path")"
if [ "$codec" = none ] && [ "$how" = direct ]; then
    sum=$(cksum <"$path") || exit 44
    printf 'sum %s\n' "${sum%% *}"
fi
hand_over
finished=1
printf 'done'
