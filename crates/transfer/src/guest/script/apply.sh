# apply ROOT STAGE SIZE (WHAT WORD BYTES)...: changes what is named below ROOT. The names stand on standard input, in SIZE bytes, each with a zero
# at its end, one list of BYTES for each WHAT. No name leads through a link: the folders on the way are looked at first.
cd -- "$1" || exit 44
command -v xargs >/dev/null 2>&1 || fail 45 xargs
[ -d "$2" ] || mkdir -m 700 -- "$2" || exit 44
stage=$2 size=$3
shift 3
cat >"$stage/names" || exit 44
got=$(wc -c <"$stage/names")
[ "$((got))" = "$size" ] || fail 43 "$((got)) bytes of names arrived instead of $size"
at=1
names() { tail -c "+$at" "$stage/names" | head -c "$bytes"; }
set_time() { names | xargs -0 touch -c -d "@$1" --; }
while [ $# -gt 0 ]; do
    what=$1 word=$2 bytes=$3
    shift 3
    case $what in
        way)
            names | xargs -0 sh -c 'for each do
                if [ -L "$each" ] || [ ! -d "$each" ]; then printf "%s is no longer a folder\n" "$each" >&2; exit 1; fi
            done' sh || fail 42 'something else was changing the folder meanwhile'
            ;;
        swap)
            names | xargs -0 sh -c 'old=$1 number=0
            shift
            for each do
                number=$((number + 1))
                mv -- "$each" "$old/old-$$-$number" || exit 1
                if ! mv -- "$0/$each" "$each"; then mv -- "$old/old-$$-$number" "$each"; exit 1; fi
            done' "$word" "$stage" || exit 44
            ;;
        remove) names | xargs -0 rm -f -- || exit 44 ;;
        empty) names | xargs -0 rmdir -- || exit 44 ;;
        mode) names | xargs -0 chmod "$word" -- || exit 44 ;;
        time) set_time "$word" 2>/dev/null || set_time "${word%.*}" 2>/dev/null || : ;;
        owner) names | xargs -0 chown -h "$word" -- || exit 44 ;;
    esac
    at=$((at + bytes))
done
finished=1
printf 'done'
