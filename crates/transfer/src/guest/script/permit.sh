# permit FILE MODE PLACE: gives FILE its MODE; for 'keep:MODE' that of the file at PLACE, which it replaces, if there is one. It runs as
# nobody else, whatever that one did.
permit() {
    wanted=${2#keep:}
    if [ "$wanted" != "$2" ] && [ -f "$3" ] && [ ! -L "$3" ]; then
        command -v stat >/dev/null 2>&1 || fail 45 stat
        wanted=$(stat -c %a -- "$3") || exit 44
        case $wanted in [2-7]???) wanted=${wanted#?} ;; esac
    fi
    chmod "$wanted" "$1" || exit 44
}
