# status FILE: size, mode and modification time of what the path leads to, parts of a second where the VM can tell.
status() {
    when=$(stat -L -c %.9Y -- "$1" 2>/dev/null)
    case $when in
        '' | *[!0-9.-]*) when=$(stat -L -c %Y -- "$1") || return ;;
    esac
    echo "$(stat -L -c '%s %a' -- "$1") $when"
}
