# hash FOLDER HOW: the sha256 of files below FOLDER, whose names stand on standard input, each with a zero at its end.
# HOW is lines: as sha256sum prints it, for names that it prints as they are. each: the sum alone, for any name, or '-'.
cd -- "$1" || exit 44
for tool in sha256sum xargs; do
    command -v "$tool" >/dev/null 2>&1 || fail 45 "$tool"
done
case $2 in
    lines)
        xargs -0 sha256sum --
        # 123 is that some of them are no longer there.
        case $? in 0 | 1 | 123) ;; *) exit 44 ;; esac
        ;;
    *)
        xargs -0 sh -c 'for each do
            sum=$(sha256sum <"$each") || sum=-
            printf "%s\n" "${sum%% *}"
        done' sh
        ;;
esac
finished=1
printf 'done'
