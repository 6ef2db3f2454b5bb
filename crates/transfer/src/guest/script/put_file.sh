# put_file PATH INTO NAME NONCE SIZE SUM MODE TIME CODEC FILE: one file to its place.
# INTO is 1 when PATH is a folder to go into. SUM and TIME may be empty.
locate "$1"
if [ "$2" = 1 ] || [ -d "$path" ]; then
    [ -n "$3" ] || fail 42 "$path is a folder, and the copy has no name of its own"
    path=${path%/}/$3
else
    follow
fi
if [ -d "$path" ]; then fail 42 "$path is a folder"; fi
spare
writable "${path%/*}"
parents "${path%/*}"
stage=${path%/*}/.fastvm-$4
size=$5 sum=$6 mode=$7 time=$8 codec=$9
shift 9
file=$1

# arrive: a staged object into $temp, with holes for zeros where dd can.
arrive() {
    next_url
    if dd if=/dev/null of=/dev/null iflag=fullblock conv=sparse 2>/dev/null; then
        write() { dd of="$temp" bs=65536 iflag=fullblock conv=sparse 2>"$stage/said" || { cat "$stage/said" >&2; return 1; }; }
    else
        write() { cat >"$temp"; }
    fi
    statuses=$({ { fetch; echo "download=$?" >&4; } | { decode; echo "$codec=$?" >&4; } | { write; echo "write=$?" >&4; }; } 4>&1)
    settled "$statuses"
}

# A small file needs no folder, and as few programs as can be: to start one takes longer than all that it does.
if [ "$file" = - ]; then
    temp=$stage
    (umask 077 && exec cat >"$temp") || exit 44
else
    [ -d "$stage" ] || mkdir -m 700 -- "$stage" || exit 44
    temp=$stage/file
    arrive
fi
if [ -n "$sum" ] && command -v cksum >/dev/null 2>&1; then
    set -- $(cksum <"$temp")
else
    set -- "$sum" $(wc -c <"$temp")
fi
[ "$2" = "$size" ] || fail 43 "$2 bytes arrived instead of $size"
[ -z "$sum" ] || [ "$1" = "$sum" ] || fail 43 "the checksum is $1 instead of $sum"
permit "$temp" "$mode" "$path"
[ -z "$time" ] || stamp "$temp" "$time"
mv -f -- "$temp" "$path" || exit 44
if [ "$file" = - ]; then stage=; fi
finished=1
printf 'done'
