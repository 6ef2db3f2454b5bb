# list_sizes PATH: what is below a folder, without sockets and folders first of what they hold, in batches: their number, a line of numbers for each
# (mode, size, blocks, names, device:inode, time), then the paths, each with a zero at its end.
cd -- "$1" || exit 44
time=%.9Y
case $(stat -c "$time" . 2>/dev/null) in
    '' | *[!0-9.-]*) time=%Y ;;
esac
find . ! -name . ! -type s -exec sh -c '
form="%f %s %b %h %d:%i $0"
if ! lines=$(stat -c "$form" -- "$@" 2>/dev/null); then
    lines=
    for each do
        shift
        if line=$(stat -c "$form" -- "$each" 2>/dev/null); then
            lines="$lines${lines:+
}$line"
            set -- "$@" "$each"
        fi
    done
fi
[ $# = 0 ] && exit 0
printf "%s\n%s\n" "$#" "$lines"
printf "%s\0" "$@"' "$time" {} + || fail 44 "not everything below $1 can be read"
finished=1
printf 'done'
