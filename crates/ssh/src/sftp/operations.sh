# One operation on files, as an SFTP server does it: sh -c THIS fastvm OPERATION PATH [ARGUMENTS].
# Paths are absolute, and in the form of printf %b. What fails says why on standard error, in the words of the C locale.
LC_ALL=C
export LC_ALL

fail() {
    echo "$1" >&2
    exit 1
}

decode() {
    decoded=$(printf '%b.' "$1")
    decoded=${decoded%.}
}

is_there() {
    [ -e "$1" ] || [ -L "$1" ]
}

is_folder() {
    [ -d "$1" ] && [ ! -L "$1" ]
}

# Fails as a program does that opens the path.
check() {
    stat -L -c '' "$1" >/dev/null || exit
}

# The bits of a mode that the umask leaves.
masked() {
    printf %o $(($1 & ~$(umask)))
}

create() {
    mode=$(masked "$2") || exit
    case $1 in
        *x*)
            set -C
            (umask 077 && : >"$path") || exit
            ;;
        *) (umask 077 && : >>"$path") || exit ;;
    esac
    chmod "$mode" "$path"
}

decode "$2"
path=$decoded
case $1 in
    stat) exec stat -L -c '%f %s %u %g %X %Y' "$path" ;;
    lstat) exec stat -c '%f %s %u %g %X %Y' "$path" ;;
    list)
        check "$path"
        [ -d "$path" ] || fail 'Not a directory'
        { [ -r "$path" ] && [ -x "$path" ]; } || fail 'Permission denied'
        cd "$path" || exit
        # What is removed meanwhile is no failure.
        find . ! -name . -prune -exec stat -c '%f %s %u %g %X %Y %A %h %U %G %y %n/' {} + 2>/dev/null || :
        ;;
    open)
        if [ -p "$path" ] || [ -S "$path" ]; then
            fail 'Not a regular file'
        fi
        case $3 in
            *x*) is_there "$path" && fail 'File exists' ;;
        esac
        if [ ! -e "$path" ]; then
            case $3 in
                *c*) create "$3" "$4" ;;
                *) check "$path" ;;
            esac
            exit
        fi
        [ -d "$path" ] && fail 'Is a directory'
        case $3 in
            *r*) : <"$path" || exit ;;
        esac
        case $3 in
            *t*) : >"$path" || exit ;;
            *w*) : >>"$path" || exit ;;
        esac
        ;;
    read) exec dd if="$path" bs=65536 iflag=skip_bytes,count_bytes skip="$3" count="$4" status=none ;;
    write)
        check "$path"
        exec dd of="$path" bs=65536 iflag=fullblock oflag=seek_bytes seek="$3" conv=notrunc status=none
        ;;
    append)
        check "$path"
        exec cat >>"$path"
        ;;
    set)
        check "$path"
        shift 2
        for change; do
            value=${change#*=}
            case $change in
                size=*) truncate -c -s "$value" "$path" ;;
                owner=*) chown "$value" "$path" ;;
                mode=*) chmod "$value" "$path" ;;
                atime=*) touch -c -a -d "@$value" "$path" ;;
                mtime=*) touch -c -m -d "@$value" "$path" ;;
            esac || exit
        done
        ;;
    remove)
        is_folder "$path" && fail 'Is a directory'
        is_there "$path" || check "$path"
        exec rm -f "$path"
        ;;
    mkdir) exec mkdir -m "$(masked "$3")" "$path" ;;
    rmdir) exec rmdir "$path" ;;
    rename)
        decode "$3"
        is_there "$decoded" && fail 'File exists'
        exec mv -T "$path" "$decoded"
        ;;
    replace)
        decode "$3"
        is_there "$path" || check "$path"
        if [ "$path" -ef "$decoded" ] && [ ! -L "$path" ] && [ ! -L "$decoded" ]; then
            exit 0 # both are one file already
        fi
        if is_folder "$decoded" && ! is_folder "$path"; then
            fail 'Is a directory'
        fi
        exec mv -fT "$path" "$decoded"
        ;;
    link)
        decode "$3"
        is_there "$decoded" && fail 'File exists'
        exec ln "$path" "$decoded"
        ;;
    symlink)
        decode "$3"
        is_there "$path" && fail 'File exists'
        exec ln -s -- "$decoded" "$path"
        ;;
    readlink)
        [ -L "$path" ] || {
            check "$path"
            fail 'Invalid argument'
        }
        exec readlink -n "$path"
        ;;
    resolve) readlink -f -n "$path" || fail 'No such file or directory' ;;
esac
