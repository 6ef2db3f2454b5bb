# survey PATH: what is below a folder, without sockets and folders first of what they hold, in batches: their number, a line of numbers for each
# (mode, size, blocks, names, device:inode), then the paths, each with a zero at its end.
cd -- "$1" || exit 44
find . ! -name . ! -type s -exec sh -c '
form="%f %s %b %h %d:%i"
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
printf "%s\0" "$@"' sh {} + || fail 44 "not everything below $1 can be read"
finished=1
printf 'done'
