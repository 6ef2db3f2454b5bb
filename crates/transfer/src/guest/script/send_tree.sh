# send_tree PATH CODEC FLAVOR HOW STAGE LINKS CHOSEN SHARE: what is in a folder, as one archive on its way out; the address is on standard input.
# LINKS is -L to follow links. CHOSEN is 1 when the names to send follow the address: with zeros for GNU tar, else as
# words of shell, for BusyBox tar reads no list. SHARE is 'part' when only these are looked at, or the most bytes that go at once: more is
# not sent, and said to be too large. 0 is without a limit.
path=$1 codec=$2 flavor=$3 file=
begin "$4" "$5"
links=$6 share=$8
case $7$flavor in
    0*) set -- . ;;
    1gnu) set -- --null --no-recursion -T - ;;
    1*) eval "set -- --no-recursion $(cat)" ;;
esac

# extent: members and bytes of files, and where tar itself does not tell what changes under it, a word that does. Sockets are no members.
extent() {
    if [ "$share" = part ]; then
        word=none
        if [ "$flavor" != gnu ]; then
            shift
            word=$(cd "$path" && stat -c '%s %Y %Z %i' -- "$@" | digest)
        fi
        echo "0 0 ${word%% *}"
        return
    fi
    members=$(find $links "$path/." ! -type s -exec sh -c 'for each do printf .; done' sh {} + | wc -c)
    bytes=$(find $links "$path/." -type f -exec stat ${links:+-L} -c %s -- {} + | { total=0; while read -r size; do total=$((total + size)); done; echo "$total"; })
    word=none
    if [ "$flavor" != gnu ]; then
        word=$(find $links "$path/." -type f -exec stat ${links:+-L} -c '%s %Y %Z %i' -- {} + | digest)
    fi
    echo "$((members)) $bytes ${word%% *}"
}
digest() {
    if command -v md5sum >/dev/null; then md5sum; else cksum; fi
}
pack() {
    case $flavor in
        # Long writes wake up the other end of the pipe less often.
        gnu) tar -b 64 --format=posix --pax-option=delete=atime,delete=ctime ${links:+-h} -cf - -C "$path/." "$@" ;;
        *) tar ${links:+-h} -cf - -C "$path/." "$@" ;;
    esac
}
before=$(extent "$@" 2>/dev/null)
printf 'before %s\n' "$before"
if [ "$share" != part ] && [ "$share" -gt 0 ]; then
    members=${before%% *} bytes=${before#* }
    if [ $((members * 1024 + ${bytes%% *})) -gt "$share" ]; then
        finished=1
        printf 'large'
        exit 0
    fi
fi
statuses=$({ { pack "$@"; echo "tar=$?" >&4; } | { encode; echo "$codec=$?" >&4; } | { sink; echo "upload=$?" >&4; }; } 4>&1)
printf 'after %s\n' "$(extent "$@" 2>/dev/null)"
for status in $statuses; do
    case $status in
        tar=*) printf 'tar %s\n' "${status#*=}" ;;
        *) settled "$status" ;;
    esac
done
hand_over
finished=1
printf 'done'
