# list_full PATH SHAPE LINKS DEPTH NAME...: what is there, with all that a comparison asks.
# SHAPE is tree: what is in the folder PATH. into: NAMEs in it, and what is in those. file: the file PATH, or if that is a folder, or 1 comes next, NAME in it; 1 after that follows a link.
# source: the folder or file that PATH leads to. named: what standard input names below the folder PATH, and what is in it; each name with a zero
# at its end. LINKS is -L to follow links. DEPTH is 0 to look no deeper than that.
locate "$1"
shape=$2 links=$3 depth=${4:+-maxdepth $4}
shift 4
while [ "${path%/}" != "$path" ] && [ "$path" != / ]; do path=${path%/}; done
if [ "$shape" = file ]; then
    if [ "$2" = 1 ] || [ -d "$path" ]; then path=${path%/}/$1
    elif [ "$3" = 1 ]; then
        follow
        spare
    fi
fi
if [ -d "$path" ]; then kind=folder
elif [ -f "$path" ]; then kind=file
elif [ -e "$path" ] || [ -L "$path" ]; then kind=other
else kind=missing
fi
case $kind-$shape in
    folder-into)
        cd -- "$path" || exit 44
        for each do
            shift
            if [ -e "./$each" ] || [ -L "./$each" ]; then set -- "$@" "./$each"; fi
        done
        ;;
    folder-named) cd -- "$path" || exit 44 ;;
    folder-tree | folder-source)
        cd -- "$path" || exit 44
        set -- .
        ;;
    missing-* | *-tree | *-into | *-named) set -- ;;
    *)
        cd -- "${path%/*}/" || exit 44
        set -- "./${path##*/}"
        if [ "$shape" = source ]; then links=-L; fi
        ;;
esac
command -v find >/dev/null 2>&1 || fail 45 find
tools= codec=none
for tool in find stat xargs sha256sum zstd gzip; do
    if command -v "$tool" >/dev/null 2>&1; then tools="$tools $tool"; fi
done
case $tools in
    *zstd*) codec=zstd ;;
    *gzip*) codec=gzip ;;
esac
if find / -maxdepth 0 -printf '' >/dev/null 2>&1; then format=printf
else
    command -v stat >/dev/null 2>&1 || fail 45 stat
    format=stat
fi
printf 'kind %s\nformat %s\ncodec %s\ntools%s\npath\n%s\0' "$kind" "$format" "$codec" "$tools" "$path"

if [ "$kind-$shape" = folder-named ]; then command -v xargs >/dev/null 2>&1 || fail 45 xargs; fi

# look ENTRY...: of each entry what find says, its path, what a link says; or for as many as a command line holds, what stat says of each in
# a line, then their paths, then what those of them that are links say. A zero ends each.
stated='if ! stat $0 -c "%f %s %a %Y %u %g" -- "$@"; then printf "unreadable\0"; exit 1; fi
printf "\0"
printf "%s\0" "$@"
[ -z "$0" ] || exit 0
for each do
    if [ -L "$each" ]; then readlink -n -- "$each" || exit 1; printf "\0"; fi
done'
look='look() {
    case $format in
        printf) find $links "$@" $depth -printf "%y %s %m %T@ %U %G\0%p\0%l\0" ;;
        *) find $links "$@" $depth -exec sh -c "$stated" "$links" {} + ;;
    esac
}'
eval "$look"
export stated look format links depth
list() {
    if [ "$kind-$shape" = folder-named ]; then
        # Not too many at once: a shell takes long to add a word to many.
        xargs -0 -n 200 sh -c 'eval "$look"
        for each do
            shift
            if [ -e "$each" ] || [ -L "$each" ]; then set -- "$@" "$each"; fi
        done
        [ $# = 0 ] || look "$@"' sh || return
    elif [ $# -gt 0 ]; then
        look "$@" || return
    fi
    printf 'end\0'
}
{ statuses=$({ { list "$@"; echo "find=$?" >&4; } | { encode >&3; echo "$codec=$?" >&4; }; } 4>&1); } 3>&1
settled "$statuses"
finished=1
