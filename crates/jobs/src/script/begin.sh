trap 'printf "%s: not started\n" "$0" >&2' EXIT
[ ! "$BASH_VERSION" ] || shopt -s execfail
printf '%s\n' $$ >&9
exec "$@" 9>&-
exit
