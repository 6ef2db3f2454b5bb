# list PATH LINKS: what is below a folder, folders first of what they hold: a letter for what each is, its path, a zero. LINKS is -L to follow links.
cd -- "$1" || exit 44
find $2 . ! -name . ! -type s -exec sh -c 'for each do
    if [ -d "$each" ] && { [ -n "$0" ] || [ ! -L "$each" ]; }; then letter=d
    elif [ -f "$each" ] || [ -L "$each" ]; then letter=f
    else letter=s
    fi
    printf "%s%s\0" "$letter" "$each"
done' "$2" {} + || fail 44 "not everything below $1 can be read"
finished=1
printf 'done'
