# ask FOLDER STAGE NONCE CODEC SUM FILE: answers questions about paths below a folder. They come as an object: a script that calls the functions
# below, and 'whole NONCE' at its end.
folder=$1 questions=$2/questions-$$ nonce=$3 codec=$4 sum=$5 file=$6
next_url
statuses=$({ { fetch; echo "download=$?" >&4; } | { decode; echo "$codec=$?" >&4; } |
    { cat >"$questions"; echo "write=$?" >&4; }; } 4>&1)
[ -z "$file" ] || [ "$file" = - ] || rm -f -- "$file"
settled "$statuses"
if [ -n "$sum" ]; then
    got=$(cksum <"$questions") || exit 44
    [ "${got%% *}" = "$sum" ] || fail 43 "the checksum is ${got%% *} instead of $sum"
fi
cd -- "$folder" || exit 44
whole=

# A folder goes only where there is a folder or nothing, anything else only where there is no folder.
files() {
    for each do
        if [ -d "$each" ] && [ ! -L "$each" ]; then fail 42 "$folder/${each#./} is a folder"; fi
    done
}
folders() {
    for each do
        if { [ -e "$each" ] || [ -L "$each" ]; } && [ ! -d "$each" ]; then fail 42 "$folder/${each#./} is not a folder"; fi
    done
}
# stamps PATH...: a digit for each, 1 for a file that is there, and then a line with mode, size and time for each of those.
stamps() {
    for each do
        shift
        if [ -f "$each" ] && [ ! -L "$each" ]; then
            printf 1
            set -- "$@" "$each"
        else
            printf 0
        fi
    done
    echo
    [ $# = 0 ] && return
    stat -c "$stamp" -- "$@" || exit 44
}
stamp='%a %s %.9Y'
case $(stat -c "$stamp" . 2>/dev/null) in
    '' | *[!0-9.\ -]*) stamp='%a %s %Y' ;;
esac
whole() { whole=$1; }
. "$questions"
rm -f -- "$questions"
[ "$whole" = "$nonce" ] || fail 43 "the questions did not arrive whole"
finished=1
printf 'done'
