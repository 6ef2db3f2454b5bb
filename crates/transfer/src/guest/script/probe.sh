# probe LONE PATH: what is there, and what the VM has. LONE is 1 when the path is to become one file. The path comes last in the answer, for
# it may hold any byte.
locate "$2"
if [ "$1" = 1 ]; then
    follow
    spare
fi
if [ -d "$path" ]; then kind=folder
elif [ -f "$path" ]; then kind=file
elif [ -e "$path" ]; then kind=other
else kind=missing
fi
writable "$path"
# A file system of no blocks, as /proc is one, takes no files.
set -- $(df -Pk -- "$near" 2>/dev/null | { set -f; while read -r line; do last=$line; done; set -- ${last:-}; echo "${2:--}" "${4:-}"; })
[ "$1" != 0 ] || fail 47 "$near"
space=${2:-}
printf 'kind %s\nspace %s\n' "$kind" "$space"
tell_tools
printf 'path\n%s' "$path"
finished=1
