# send_tree PATH CODEC FLAVOR HOW STAGE: what is in a folder, as one archive on its way out; the address is on standard input.
path=$1 codec=$2 flavor=$3 file=
begin "$4" "$5"

# extent: members and bytes of files, and where tar itself does not tell what changes under it, a word that does. Sockets are no members.
extent() {
    members=$(find "$path/." ! -type s -exec sh -c 'for each do printf .; done' sh {} + | wc -c)
    bytes=$(find "$path/." -type f -exec stat -c %s -- {} + | { total=0; while read -r size; do total=$((total + size)); done; echo "$total"; })
    word=none
    if [ "$flavor" != gnu ]; then
        word=$(find "$path/." -type f -exec stat -c '%s %Y %Z %i' -- {} + | digest)
    fi
    echo "$((members)) $bytes ${word%% *}"
}
digest() {
    if command -v md5sum >/dev/null; then md5sum; else cksum; fi
}
pack() {
    case $flavor in
        gnu) tar --format=posix --pax-option=delete=atime,delete=ctime -cf - -C "$path/." . ;;
        *) tar -cf - -C "$path/." . ;;
    esac
}
printf 'before %s\n' "$(extent 2>/dev/null)"
statuses=$({ { pack; echo "tar=$?" >&4; } | { encode; echo "$codec=$?" >&4; } | { sink; echo "upload=$?" >&4; }; } 4>&1)
printf 'after %s\n' "$(extent 2>/dev/null)"
for status in $statuses; do
    case $status in
        tar=*) printf 'tar %s\n' "${status#*=}" ;;
        *) settled "$status" ;;
    esac
done
hand_over
finished=1
printf 'done'
