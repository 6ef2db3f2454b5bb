# follow: where $path is a link to a file, or to where there is none yet, sets it to the end of the link.
follow() {
    if [ ! -L "$path" ] || [ -d "$path" ]; then return; fi
    command -v readlink >/dev/null 2>&1 || fail 45 readlink
    end=$(readlink -f -- "$path" 2>/dev/null && echo .) || fail 42 "$path is a link that leads to no folder"
    path=${end%??}
}

# spare: fails where $path is a device, a pipe or a socket: no file replaces one.
spare() {
    if [ -L "$path" ] || [ ! -e "$path" ] || [ -f "$path" ] || [ -d "$path" ]; then return; fi
    fail 42 "a device, pipe or socket is in the way, which no file replaces"
}
