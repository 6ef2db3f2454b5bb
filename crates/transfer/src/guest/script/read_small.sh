# read_small PATH LIMIT MOST: what is there; a file of at most LIMIT bytes is answered whole, between its status before and after. Of a folder it is
# said whether its files are more than MOST bytes, at a KiB a name; without MOST that is not looked at.
locate "$1"
if [ ! -e "$path" ]; then fail 41 "$path: no such file or folder"; fi
if [ -d "$path" ]; then kind=folder
elif [ -f "$path" ]; then kind=file
else kind=other
fi
printf 'kind %s\n' "$kind"
if [ "$kind" = file ]; then
    [ -r "$path" ] || fail 44 "$path: permission denied"
    before=$(status "$path") || exit 44
    printf 'status %s\n' "$before"
    size=${before%% *}
    if [ "$size" -gt 0 ] && [ "$size" -le "$2" ]; then
        sum=
        if command -v cksum >/dev/null 2>&1; then sum=$(cksum <"$path"); fi
        printf 'data\n'
        head -c "$size" <"$path" || exit 44
        printf '\nafter %s\nsum %s\n' "$(status "$path")" "${sum%% *}"
        finished=1
        exit 0
    fi
fi
if [ "$kind" = folder ] && [ -n "$3" ]; then
    find "$path/." -type f -exec stat -c %s {} + 2>/dev/null | {
        total=0
        while read -r size; do
            total=$((total + 1024 + size))
            if [ "$total" -gt "$3" ]; then
                printf 'large\n'
                break
            fi
        done
    }
fi
tell_tools
printf 'path\n%s' "$path"
finished=1
