# A staged object: $file is where it stands, '-' is standard input, and empty means to get $url. The URL is on no command line.
fetch() {
    case $file in
        -) cat ;;
        ?*) cat -- "$file" ;;
        *) curl -qgsSf --connect-timeout 15 -K - <<X
url = "$url"
X
        ;;
    esac
}

decode() {
    case $codec in
        zstd) zstd -dcq ;;
        gzip) gzip -dc ;;
        *) cat ;;
    esac
}

encode() {
    case $codec in
        zstd) zstd -qc -1 "${threads:--T0}" ;;
        gzip) gzip -c -1 ;;
        *) cat ;;
    esac
}

# Sends standard input. curl calls a redirect a success, so the answer is looked at; 000 is an answer without HTTP.
put() {
    answer=$(curl -qgsSf --connect-timeout 15 -o /dev/null -w '%{http_code}' -T - -H 'Content-Type: application/octet-stream' -K /dev/fd/5 5<<X
url = "$url"
X
    ) || return
    case $answer in
        2?? | 000) ;;
        *)
            echo "the storage answered $answer" >&2
            return 22
            ;;
    esac
}

next_url() {
    url=
    if [ -z "$file" ]; then IFS= read -r url || fail 44 "no address was given"; fi
}
